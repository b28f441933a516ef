"""The application below Airflow's api-server: what its pages ask for, with the login and the rights of Airflow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Any

# As the plug-ins of Airflow's own providers (edge3) ask who may do what.
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag, requires_access_view
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query
from starlette.responses import FileResponse, Response, StreamingResponse

from ..gate import Refused
from .archive import zip_stream
from .bundle import NotBundled, make_bundle
from .content import NOTHING, attachment, download, view
from .document import open_document
from .outputs import MOST_ENTRIES, LeftOut
from .picture import NotDrawn, picture
from .runs import describe_run, find_outputs
from .status import describe_site

SCRIPT = Path(__file__).with_name("cwl.js")
#: Who may see the runs of a DAG may see their outputs.
runs = APIRouter(
    prefix="/runs/{dag_id}/{run_id}", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))]
)

dags = APIRouter(prefix="/dags/{dag_id}", dependencies=[Depends(requires_access_dag("GET"))])


def create_app() -> FastAPI:
    """Make the application."""
    app = FastAPI(title="CWL pages", openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(runs)
    app.include_router(dags)

    @app.get("/status", dependencies=[Depends(requires_access_view(AccessView.CLUSTER_ACTIVITY))])
    def get_status(user: GetUserDep) -> Response:
        """Describe the site, with the runs that a user may see."""
        return ascii_json(describe_site(get_auth_manager().get_authorized_dag_ids(user=user)))

    @app.get("/cwl.js")
    def get_script() -> FileResponse:
        """Return the script of the pages, which has nothing in it that is not public."""
        return FileResponse(SCRIPT, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    return app


@contextmanager
def answered() -> Iterator[None]:
    """Answer what is not there, or not an output."""
    try:
        yield
    except Refused as error:
        raise HTTPException(403, str(error)) from error
    except (OSError, ValueError, RecursionError) as error:  # of a report that nobody's run wrote
        raise HTTPException(404, str(error)) from error


def ascii_json(content: Any) -> Response:
    """Return an answer in JSON; names of files may not be text, which UTF-8 has no bytes for."""
    return Response(json.dumps(content), media_type="application/json")


def send_zip(name: str, files: Iterator[tuple[str, IO[bytes]]], left_out: list[LeftOut]) -> Response:
    """Return an archive of files, see `zip_stream`.

    :param name: of the archive, without its ending.
    """
    headers = {"Content-Disposition": attachment(f"{name}.zip"), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(zip_stream(files, left_out), media_type="application/zip", headers=headers)


@dags.get("/picture.svg")
def get_picture(dag_id: str) -> Response:
    """Return the picture of a DAG's document."""
    with answered():
        try:
            svg = picture(dag_id)
        except NotDrawn as error:
            raise HTTPException(501, str(error)) from error
    headers = {"Content-Security-Policy": NOTHING, "Cache-Control": "private, no-cache"}
    return Response(svg, media_type="image/svg+xml", headers=headers)


@dags.get("/document", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.CODE))])
def get_document(dag_id: str) -> Response:
    """Show a DAG's document to who may see the DAG's file."""
    with answered():
        stream, name = open_document(dag_id)
        return show(stream, name)


@runs.get("")
def get_run(dag_id: str, run_id: str) -> Response:
    """Describe a run, see `describe_run`."""
    with answered():
        return ascii_json(describe_run(dag_id, run_id))


@runs.get("/crate")
def get_crate(dag_id: str, run_id: str) -> Response:
    """Give a run as a Workflow Run RO-Crate, see `make_bundle`."""
    with answered():
        try:
            bundle = make_bundle(dag_id, run_id)
        except NotBundled as error:
            raise HTTPException(409, str(error)) from error
    return send_zip(f"{dag_id} {run_id}.crate", bundle.files(), bundle.left_out)


@runs.get("/outputs/{path:path}")
def get_output(
    dag_id: str,
    run_id: str,
    path: str,
    how: Annotated[str, Query(alias="as", pattern="^(view|download|list|left-out)$")] = "download",
) -> Response:
    """Give a file, in ranges if asked; of a folder a ZIP archive, or what is in it.

    :param how: ``view`` for a file that a browser shows, ``download`` for one that is kept; of a folder ``list`` for
        what is in it, ``left-out`` for what would be missing in its archive.
    """
    with answered():
        outputs = find_outputs(dag_id, run_id)
        real = outputs.find(path)
        name = os.path.basename(real)
        if how == "list":
            return ascii_json([each.to_json() for each in outputs.list_folder(path)[:MOST_ENTRIES]])
        if how == "left-out":
            return ascii_json([asdict(each) for each in outputs.left_out(path)])
        if os.path.isdir(real):
            left_out: list[LeftOut] = []
            return send_zip(name, outputs.walk(path, left_out), left_out)
        stream = outputs.open(path)
        if how == "download":
            return download(stream, name)
        return show(stream, name)


def show(stream: IO[bytes], name: str) -> Response:
    """Return a file to be looked at; an answer that says so if a browser cannot show it."""
    if shown := view(stream, name):
        return shown
    stream.close()
    raise HTTPException(415, f"{name} is no text: download it.")
