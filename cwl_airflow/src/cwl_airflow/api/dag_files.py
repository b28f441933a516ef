"""Adding DAGs of documents that come with a request: their files, and what Airflow knows of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow.api.common.delete_dag import delete_dag
from airflow.configuration import conf
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk.exceptions import AirflowException
from airflow.utils.retries import run_with_db_retries
from fastapi import UploadFile

from ..configuration import OWN_DAGS_ONLY
from ..dags.dag import CWLDAG
from ..dags.settings import CWLSettings
from ..documents.embedded import embedded_text
from .models import NewDag
from .names import check_dag_id
from .problems import Problem, one_line
from .stop import CLEAN_DAG_RUN

DAG = """\
from cwl_airflow.extensions.cwldag import CWLDAG

dag = CWLDAG(workflow={workflow!r}, dag_id={dag_id!r})
"""


@contextmanager
def all_or_nothing() -> Iterator[list[str | Path]]:
    """Remove what a request made if it is not answered as it was meant.

    What is made belongs into the list: paths of files and folders, and the ids of DAGs that Airflow knows.
    """
    made: list[str | Path] = []
    try:
        yield made
    except BaseException:
        for one in made:
            if isinstance(one, Path):
                shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
        for one in made:
            if isinstance(one, str):
                with suppress(AirflowException):  # Airflow did not know it yet
                    # The DAG processor may hold what is removed: MySQL lets one of the two win.
                    run_with_db_retries()(delete_dag, one)
        raise


def check_new_dag_id(dag_id: str) -> None:
    """Refuse what cannot be the name of a new DAG.

    :raises Problem: says why.
    """
    try:
        check_dag_id(dag_id)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    if dag_id == CLEAN_DAG_RUN:
        raise Problem(400, f"dag_id: '{CLEAN_DAG_RUN}' stops a run and cannot be a DAG")


def read_document(upload: UploadFile | None, content: str | None) -> bytes:
    """Return the document that a request adds.

    :param upload: as a file.
    :param content: compressed by gzip or zlib, in base64.
    :raises Problem: there is not one of these, or it cannot be read.
    """
    if (upload is None) == (content is None):
        raise Problem(400, "The request must have either one 'workflow' or one 'workflow_content'")
    if upload is not None:
        return bytes(upload.file.read())
    try:
        text = embedded_text(str(content))
    except ValueError as error:
        raise Problem(400, str(error)) from error
    if text is None:
        raise Problem(400, "workflow_content must be base64 of a document that gzip or zlib compressed")
    return text.encode()


def write_dag(dag_id: str, text: bytes, made: list[str | Path]) -> NewDag:
    """Write a document and its DAG file.

    :param made: what is there now and was not before is added to it, see `all_or_nothing`.
    :raises FileExistsError: one of them is there, or the DAG in another file.
    """
    path = _dags_folder() / f"{dag_id}.cwl"
    if _dag_file(dag_id).exists() or path.exists() or SerializedDagModel.has_dag(dag_id):
        raise FileExistsError(dag_id)
    path.touch(exist_ok=False)
    made.append(path)
    path.write_bytes(text)
    return make_dag(dag_id, str(path), made)


def make_dag(dag_id: str, workflow: str, made: list[str | Path]) -> NewDag:
    """Write a DAG file, and let Airflow know the DAG now, which its DAG processor reads within seconds.

    :param workflow: path of the document.
    :param made: as for `write_dag`.
    """
    if not CWLSettings.read({}).shares_dags:
        raise Problem(409, OWN_DAGS_ONLY)
    file = _dag_file(dag_id)
    try:
        dag = CWLDAG(dag_id=dag_id, workflow=workflow)
    except Exception as error:  # cwltool, schema-salad and YAML have their own
        raise Problem(400, f"The document cannot be read: {one_line(error)}") from error
    file.touch(exist_ok=False)
    made += [file, dag_id]
    file.write_text(DAG.format(workflow=workflow, dag_id=dag_id), encoding="utf-8")
    # As Airflow's dag-processor notes it, which finds the file in a moment.
    dag.fileloc, dag.relative_fileloc = str(file), file.name
    bundle = _find_bundle()
    bag = DagBag(collect_dags=False, bundle_path=file.parent, bundle_name=bundle)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, bundle, None)
    if not SerializedDagModel.has_dag(dag_id):
        raise Problem(500, f"DAG '{dag_id}' cannot be stored: the log of the service says why")
    return NewDag(dag_id=dag_id, cwl_path=workflow, dag_path=str(file))


def _find_bundle() -> str:
    """Return the name under which Airflow reads the folder of DAG files.

    :raises LookupError: it reads another one.
    """
    for bundle in DagBundlesManager().get_all_dag_bundles():  # type: ignore[no-untyped-call]
        if bundle.path == _dags_folder():
            return str(bundle.name)
    raise LookupError("No bundle of [dag_processor] dag_bundle_config_list is the folder of [core] dags_folder")


def _dags_folder() -> Path:
    return Path(conf.get("core", "dags_folder"))


def _dag_file(dag_id: str) -> Path:
    return _dags_folder() / f"{dag_id}.py"
