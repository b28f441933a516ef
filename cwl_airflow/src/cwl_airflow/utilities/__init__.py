"""The functions that dispatchers and gatherers written for cwl-airflow 1.2 import."""
