"""The example workflow coverage."""

from pathlib import Path

from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(workflow=str(Path(__file__).parent / "coverage.cwl"), dag_id="coverage")
