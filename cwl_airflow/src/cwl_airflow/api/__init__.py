"""The CWL API: routes to add documents, run and stop them, behind Airflow's users or tokens."""
