"""One run of a CWL document on disk, a task at a time. Airflow is unknown here."""
