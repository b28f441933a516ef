"""What dispatchers and gatherers of a user's own need of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def collect_reports(context: Any, task_ids: list[str] | None = None) -> dict[str, Any]:
    """Return the job, the run's folders, and the outputs of steps as ``<step>_<output>``.

    :param context: the context of the task.
    :param task_ids: the tasks whose reports to read; all of the DAG by default.
    """
    from ..runs.cwl_json import read_cwl_json

    dag = context["dag"]
    data: dict[str, Any] = {}
    for task_id in dag.task_ids if task_ids is None else task_ids:
        report = context["ti"].xcom_pull(task_ids=task_id, map_indexes=-1)
        if not isinstance(report, str) or not Path(report).is_file():
            continue
        content = read_cwl_json(Path(report))
        task = dag.plan.tasks.get(task_id)
        if task is None:
            data |= content
        else:
            data |= {f"{task.step or task_id}_{name}": value for name, value in content["outputs"].items()}
    return data


def relocate_outputs(workflow: str, job_data: dict[str, Any], cwl_args: Any = None) -> tuple[dict[str, Any], str]:
    """Move the outputs of a run to its folder.

    :param workflow: the DAG's ``workflow``.
    :param job_data: what `collect_reports` returned.
    :param cwl_args: ``default_args["cwl"]`` of the DAG.
    :returns: the outputs, and the path of the file that reports them.
    :raises Refused: the run may not write there.
    """
    from airflow.sdk import get_current_context

    from ..callers import Caller
    from ..dags.dag import document_source
    from ..dags.settings import CWLSettings
    from ..runs.layout import RunLayout
    from ..runs.outputs import collect_run
    from ..runs.run import CWLRun

    settings = CWLSettings.read(cwl_args or {})
    source = document_source(workflow, settings.pickle_folder)
    layout = RunLayout(Path(job_data["tmp_folder"]))
    context = get_current_context()
    gate = settings.places.gate(context["dag"].dag_id, layout.folder, Caller.of(context["dag_run"].conf).reads)
    run = CWLRun(source, layout, gate, settings.cwltool, settings.engine, settings.pickle_folder)
    return collect_run(run, Path(job_data["outputs_folder"]), own=False)
