"""Run a document through Airflow in one process: no services, no broker, SQLite for the database.

    make try DOCUMENT=files/workflows/two-step/two-step.cwl JOB=files/workflows/two-step/job.yml

Each step is a task as on a host, one after the other; what it prints is on the terminal. The outputs are below
``build/trial/cwl/outputs/try``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

HOME = Path(__file__).parents[2] / "build/trial"
DAG_FILE = """\
from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(dag_id="try", workflow={workflow!r})
"""


def prepare(home: Path, opened: list[Path], containers: bool) -> None:
    """Say where Airflow has its things, before it is imported.

    :param home: the site's folder; it is made.
    :param opened: folders that the run may read beside the site's own.
    :param containers: whether tools run in their containers.
    """
    (home / "dags").mkdir(parents=True, exist_ok=True)
    settings = {
        "CORE__DAGS_FOLDER": f"{home}/dags",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__FERNET_KEY": "",
        "DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
        "CWL__DATA_PATHS": json.dumps([{"path": str(folder)} for folder in opened]),
        "CWL__USE_CONTAINER": str(containers),
    }
    os.environ |= {"AIRFLOW_HOME": str(home)} | {f"AIRFLOW__{name}": value for name, value in settings.items()}


def run(document: Path, job: object, home: Path) -> Path | None:
    """Run a document, and return the file that reports its outputs; none if it failed.

    :param job: the job, or the path of its file.
    """
    from airflow.utils.db import initdb
    from cwl_airflow.documents.plan import OUTPUTS_REPORT
    from cwl_airflow.extensions.cwldag import CWLDAG

    if not (home / "airflow.db").exists():
        initdb()
    # Airflow runs only what it has read from a file.
    (home / "dags/try.py").write_text(DAG_FILE.format(workflow=str(document)), encoding="utf-8")
    dag = CWLDAG(dag_id="try", workflow=document)
    made = dag.test(run_conf={"job": job})
    return dag.folders(made.run_id, {})[1] / OUTPUTS_REPORT if made.state == "success" else None


def main() -> int:
    """Print the outputs of a document; exit code 1 when it failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("document", type=Path, help="the CWL document")
    parser.add_argument("job", type=Path, nargs="?", help="file of the job")
    parser.add_argument("--no-container", action="store_true", help="run the tools without their containers")
    options = parser.parse_args()
    document, job = options.document.resolve(), options.job.resolve() if options.job else None
    opened = sorted({document.parent, *([job.parent] if job else [])})
    prepare(HOME, opened, containers=not options.no_container)
    report = run(document, str(job) if job else {}, HOME)
    print(report.read_text(encoding="utf-8") if report else f"{document} failed: see above.")
    return 0 if report else 1


if __name__ == "__main__":
    sys.exit(main())
