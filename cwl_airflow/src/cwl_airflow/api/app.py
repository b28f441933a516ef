"""The application of the CWL API: its routes, behind a gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from airflow.dag_processing.bundles.manager import DagBundlesManager
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from ..rest import LOCAL_API
from ..schema import upgrade
from ..watchdog import WatchdogMiddleware
from .admission import AdmissionMiddleware
from .bodies import BodyMiddleware
from .database import end_session, get_engine
from .problems import Answer, Problem, one_line
from .routes import dag_runs, dags, pages, wes
from .shell_logins import shell_logins
from .specification import specification
from .users import Users

BASE = "/api/experimental"
#: Requests that are worked on at a time; others wait for one of these.
THREADS = 8

#: As Starlette wants them, whichever exception they are for.
ExceptionHandler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


def create_app(address: str = LOCAL_API) -> FastAPI:
    """Make the application.

    :param address: URL at which it is reached from this host.
    """
    upgrade(get_engine())
    # A DAG that is added belongs to one of them, and the dag-processor may not have noted them yet.
    DagBundlesManager().sync_bundles_to_db(deactivate_missing=False)  # type: ignore[no-untyped-call]
    users = Users()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        async with shell_logins(users, address):
            yield

    app = FastAPI(
        title="CWL API",
        version="2.0.0",
        description="Runs CWL documents as DAGs of Airflow. The users are those of Airflow, or programs with a token.",
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    for router in (dags.routes, dag_runs.routes, pages.routes):
        app.include_router(router, prefix=BASE)
    app.include_router(pages.root_routes)
    app.include_router(wes.routes, prefix=f"{BASE}/wes")
    app.add_exception_handler(HTTPException, cast(ExceptionHandler, _refused))
    app.add_exception_handler(RequestValidationError, cast(ExceptionHandler, _malformed))
    app.add_exception_handler(Exception, _failed)
    # The last one comes first.
    app.add_middleware(AdmissionMiddleware, routes=app.routes, users=users)
    app.add_middleware(BodyMiddleware)
    app.add_middleware(WatchdogMiddleware)
    document = specification(app, BASE)
    app.openapi = lambda: document  # type: ignore[method-assign]  # as FastAPI documents it
    end_session()
    return app


async def _refused(request: Request, error: HTTPException) -> Answer:
    """Answer what a route, or its absence, raised."""
    texts = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address.",
        HTTPStatus.METHOD_NOT_ALLOWED: "What is at this address does not take this method.",
    }
    own = isinstance(error, Problem)
    detail = error.detail if own else texts.get(HTTPStatus(error.status_code), f"{one_line(error.detail)}.")
    answer = Answer(error.status_code, detail)
    answer.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """Return the methods that the address of a request takes, of which Starlette knows those of one route."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] != Match.NONE:
            found |= route.methods
    return found | {"HEAD"} if "GET" in found else found


async def _malformed(_request: Request, error: RequestValidationError) -> Answer:
    """Answer parameters or a body that are not as specified; what they were may be a secret."""
    first: dict[str, Any] = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    what = "The body is not as specified" if first["loc"][0] == "body" else "The request is not as specified"
    return Answer(400, f"{what}: {f'{where}: ' if where else ''}{one_line(first['msg'])}.")


async def _failed(_request: Request, _error: Exception) -> Answer:
    return Answer(500, "An unexpected error occurred: the log of the service says which.")
