"""What a production host adds to CWL-Airflow."""
