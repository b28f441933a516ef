"""The example workflow two-step."""

from pathlib import Path

from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(workflow=str(Path(__file__).parent / "two-step.cwl"), dag_id="two-step")
