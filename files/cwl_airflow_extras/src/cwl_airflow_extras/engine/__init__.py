"""Runs CWL documents as DAGs: cwltool decides what a step means, Airflow when and where it runs."""
