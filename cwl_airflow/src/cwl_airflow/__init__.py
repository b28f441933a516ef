"""Runs documents of the Common Workflow Language as DAGs of Apache Airflow."""
