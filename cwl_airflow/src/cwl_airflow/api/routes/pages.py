"""Routes for people: the specification, and a page that shows it and loads nothing from elsewhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from fastapi import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse

from ..access import READ_DAG, needs
from .route import make_router

routes = make_router()
#: Those at the root of the service.
root_routes = make_router()

PAGE = Path(__file__).with_name("page.html")
#: What a browser lets the page do. Its own script and the styles that swagger-ui sets are in it.
POLICY = "default-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


@routes.get("/openapi.json", include_in_schema=False)
@routes.get("/swagger.json", include_in_schema=False)
@needs(READ_DAG)
def get_specification(request: Request) -> JSONResponse:
    """Show the specification."""
    return JSONResponse(request.app.openapi())


@root_routes.get("/", include_in_schema=False)
@needs(READ_DAG)
def get_root(request: Request) -> RedirectResponse:
    """Send a browser to the page, wherever a proxy has the service."""
    return RedirectResponse(f"{request.app.url_path_for('get_page_elsewhere')}/".removeprefix("/"), 307)


@routes.get("/ui", include_in_schema=False)
@needs(READ_DAG)
def get_page_elsewhere() -> RedirectResponse:
    """Send a browser to the page."""
    return RedirectResponse("ui/", 308)


@routes.get("/ui/", include_in_schema=False)
@routes.get("/ui/index.html", include_in_schema=False)
@needs(READ_DAG)
def get_page() -> FileResponse:
    """Show the page."""
    return FileResponse(PAGE, headers={"Content-Security-Policy": POLICY})


@routes.get("/ui/{name}", include_in_schema=False)
@needs(READ_DAG)
def get_part_of_page(
    name: Literal["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"],
) -> FileResponse:
    """Show a file that the page loads."""
    return FileResponse(_page_files() / name)


def _page_files() -> Path:
    # Without importing it: it is an extension of Flask, and only its files are of use.
    found = find_spec("flask_swagger_ui")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("flask_swagger_ui, which the provider of Airflow's users brings, is not installed")
    return Path(found.origin).with_name("dist")
