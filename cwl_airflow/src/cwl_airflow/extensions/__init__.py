"""The names that DAG files of cwl-airflow 1.2 import."""
