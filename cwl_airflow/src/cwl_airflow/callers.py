"""Who started a run, and what that person may read: noted in the run's configuration by whoever makes it.

The process that serves the request knows who asks. It writes over whatever the request itself says, so that a task can
rely on it. Tasks, which know nothing of users, read it there. Airflow notes the name of a user with each run, and not
what that user may do; none of its own extension points can change a run that is made, so this is SQLAlchemy's.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Under which name a run's configuration says who started it.
KEY = "cwl_airflow_caller"
#: What a role needs to add documents, beside Airflow's own permissions: a document runs any command on a worker.
DOCUMENTS = "CWL documents"
#: All DAGs, as Airflow's REST API calls them and no DAG can be called; without a name, it is asked for any one of them.
ALL_DAGS = "~"
#: Requests that make nothing.
READING = ("GET", "HEAD", "OPTIONS")
#: Where tasks ask Airflow's api-server.
TASKS_API = "/execution/"
#: What makes runs because somebody asks Airflow's api-server for one.
BY_REQUEST = ("rest_api", "ui", "operator")


@dataclass(frozen=True)
class Caller:
    """Who started a run."""

    name: str = ""
    #: Ids of the DAGs whose outputs may be read; none means those of all.
    reads: frozenset[str] | None = frozenset()
    #: Whether documents may be added, which run any command.
    documents: bool = False

    @classmethod
    def of(cls, conf: Any) -> Caller:
        """Return who started a run, from its configuration; nobody if it does not say."""
        noted = conf.get(KEY) if isinstance(conf, Mapping) else None
        if not isinstance(noted, Mapping):
            return NOBODY
        reads = noted.get("reads")
        return cls(
            str(noted.get("name", "")),
            None if reads == "all" else frozenset(map(str, reads)) if isinstance(reads, list) else frozenset(),
            noted.get("documents") is True,
        )

    def noted_in(self, conf: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of a run with a note of who started it, in place of any that it has."""
        reads = "all" if self.reads is None else sorted(self.reads)
        return {**conf, KEY: {"name": self.name, "reads": reads, "documents": self.documents}}


NOBODY = Caller()


def unrestricted_caller(name: str) -> Caller:
    """Return somebody who may do all: who has a shell on the host as the services' user, for instance."""
    return Caller(name, None, True)


_acting: ContextVar[Caller | None] = ContextVar("caller", default=None)


@contextmanager
def acting_as(caller: Caller) -> Iterator[None]:
    """Say who starts the runs that are made meanwhile."""
    token = _acting.set(caller)
    try:
        yield
    finally:
        _acting.reset(token)


def from_permissions(manager: Any, user: Any, name: str, documents: str) -> Caller:
    """Return what a user of Airflow may do.

    :param manager: Airflow's auth manager.
    :param documents: the resource whose creation a role must allow for documents.
    """
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.settings import engine
    from sqlalchemy.orm import Session

    reads: Collection[str] | None = None
    if not manager.is_authorized_dag(method="GET", details=DagDetails(id=ALL_DAGS), user=user):
        # In a session of its own: the caller's has not ended.
        with Session(bind=engine) as session:
            reads = manager.get_authorized_dag_ids(user=user, session=session)
    may_add = manager.is_authorized_custom_view(method="POST", resource_name=documents, user=user)
    return Caller(name, None if reads is None else frozenset(reads), bool(may_add))


def note_caller(values: dict[str, Any], of_form: bool = False) -> None:
    """Note who starts a run that is made.

    :param values: of its columns, by name.
    :param of_form: whether its configuration is a filled-in form of a CWL document.
    """
    conf = values.get("conf")
    if not conf or not isinstance(conf, Mapping):
        return  # there is nothing of the caller's in it
    caller = _current_caller(values.get("triggered_by")) or unrestricted_caller("this host")
    # Of a run of something else as well, as its tasks may give on what it got; as little as possible.
    if of_form or "job" in conf or KEY in conf or caller.reads is not None or not caller.documents:
        values["conf"] = caller.noted_in(conf)


class CallerMiddleware:
    """Knows who asks Airflow's api-server while it answers: a user, or a task."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http" or scope["method"] in READING:
            await self._app(scope, receive, send)
            return
        token = _asking.set(await _asking_of(scope))
        try:
            await self._app(scope, receive, send)
        finally:
            _asking.reset(token)


@dataclass(frozen=True)
class _Asking:
    """Who asks Airflow's api-server."""

    #: A user of Airflow; none if it is a task, or nobody is logged in.
    user: Any = None
    #: The token of a task.
    task_token: str | None = None


_asking: ContextVar[_Asking | None] = ContextVar("asking", default=None)


async def _asking_of(scope: Scope) -> _Asking:
    """Return who sent a request, as the routes of Airflow find it out."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import HTTPException, Request
    from fastapi.security import HTTPBearer

    request = Request(scope)
    try:
        bearer = await HTTPBearer(auto_error=False)(request)
        if scope["path"].removeprefix(scope.get("root_path", "")).startswith(TASKS_API):
            return _Asking(task_token=bearer.credentials if bearer else None)
        return _Asking(await get_user(request, bearer_credentials=bearer))
    except HTTPException:
        return _Asking()


def _current_caller(triggered_by: Any) -> Caller | None:
    """Return who starts runs now; nobody on a schedule, or with a shell on the host.

    :param triggered_by: what of Airflow makes the run.
    """
    if caller := _acting.get():
        return caller
    asking = _asking.get()
    if asking is None:
        # Not known, and not what a host does by itself.
        return NOBODY if str(getattr(triggered_by, "value", triggered_by)) in BY_REQUEST else None
    try:
        return _of_task(asking.task_token) if asking.task_token else _of_user(asking.user)
    except Exception:  # whoever it is may do nothing then
        logging.getLogger(__name__).exception("It is not known who starts the run")
        return NOBODY


def _of_user(user: Any) -> Caller:
    """Return who asks Airflow's api-server."""
    from airflow.api_fastapi.app import get_auth_manager

    return from_permissions(get_auth_manager(), user, str(user.get_name()), DOCUMENTS) if user else NOBODY


def _of_task(token: str) -> Caller | None:
    """Return who started the run whose task starts another one, if that was noted.

    :param token: of the task; Airflow has verified it before it makes a run.
    """
    import jwt
    from airflow.models import DagRun, TaskInstance
    from airflow.settings import engine
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    task = uuid.UUID(jwt.decode(token, options={"verify_signature": False})["sub"])
    with Session(bind=engine) as session:
        conf = session.scalar(select(DagRun.conf).join(TaskInstance.dag_run).where(TaskInstance.id == task))
    return Caller.of(conf) if isinstance(conf, Mapping) and KEY in conf else None
