"""DAGs of the documents beside this file, to be looked at in a browser."""

from pathlib import Path

from cwl_airflow.extensions.cwldag import CWLDAG

for document in Path(__file__).parent.glob("*.cwl"):
    globals()[document.stem] = CWLDAG(workflow=str(document), dag_id=document.stem)
