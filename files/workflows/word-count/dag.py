"""The example workflow word-count."""

from pathlib import Path

from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(workflow=str(Path(__file__).parent / "word-count.cwl"), dag_id="word-count")
