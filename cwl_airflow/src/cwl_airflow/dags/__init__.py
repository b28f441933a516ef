"""What Airflow sees of a CWL document: a DAG with a task for each step, and their queues."""
