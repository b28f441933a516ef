"""``clean_dag_run``: in cwl-airflow 1.2 a DAG, which was triggered to stop a run of another one.

Here it is no DAG, as its task would wait for a worker's slot while the run to stop holds them all.
"""

from __future__ import annotations

from typing import Any

from .. import strict_json
from .names import check_name

#: What is triggered to stop a run.
CLEAN_DAG_RUN = "clean_dag_run"


def target(conf: Any) -> tuple[str, str]:
    """Return the DAG and the run that are to be stopped.

    :param conf: ``{"remove_dag_id": …, "remove_run_id": …}``, perhaps as text.
    :raises ValueError: it is not like that, or no run can have such a name.
    """
    try:
        content = strict_json.loads(conf) if isinstance(conf, str) else conf
        dag_id, run_id = content["remove_dag_id"], content["remove_run_id"]
    except (ValueError, TypeError, KeyError):
        dag_id = run_id = None
    if not isinstance(dag_id, str) or not isinstance(run_id, str):
        raise ValueError('conf must be like {"remove_dag_id": "…", "remove_run_id": "…"}.')
    check_name("remove_dag_id", dag_id)
    check_name("remove_run_id", run_id)
    return dag_id, run_id
