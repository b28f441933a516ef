"""Who started a run, and what that person may read: noted in the run's configuration by whoever makes it.

The process that serves the request knows who asks. It writes over whatever the request itself says, so that a task can
rely on it. Tasks, which know nothing of users, read it there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: Under which name a run's configuration says who started it.
KEY = "cwl_airflow_caller"
#: What a role needs to add documents, beside Airflow's own permissions: a document runs any command on a worker.
DOCUMENTS = "CWL documents"


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
    from airflow.settings import engine
    from sqlalchemy.orm import Session

    reads: Collection[str] | None = None
    if not manager.is_authorized_dag(method="GET", user=user):
        # In a session of its own: the caller's has not ended.
        with Session(bind=engine) as session:
            reads = manager.get_permitted_dag_ids(methods=["GET"], user=user, session=session)
    may_add = manager.is_authorized_custom_view(method="POST", resource_name=documents, user=user)
    return Caller(name, None if reads is None else frozenset(reads), bool(may_add))


def note_caller(_run: Any, _arguments: Any, values: dict[str, Any]) -> None:
    """Note who starts a run that is made (SQLAlchemy's event ``init``).

    :param values: of its columns, by name.
    """
    conf = values.get("conf")
    if not conf or not isinstance(conf, Mapping):
        return  # there is nothing of the caller's in it
    caller = _current_caller() or unrestricted_caller("this host")
    # Of a run of something else as well, as its tasks may give on what it got; as little as possible.
    if "job" in conf or KEY in conf or caller.reads is not None or not caller.documents:
        values["conf"] = caller.noted_in(conf)


def _current_caller() -> Caller | None:
    """Return who starts runs now; nobody on a schedule, or with a shell on the host."""
    from flask import has_request_context

    if caller := _acting.get():
        return caller
    return _logged_in() if has_request_context() else _of_this_task()


def _of_this_task() -> Caller | None:
    """Return who started the run whose task starts another one, if that was noted."""
    from airflow.exceptions import AirflowException
    from airflow.operators.python import get_current_context

    try:
        conf = get_current_context()["dag_run"].conf
    except AirflowException:  # no task
        return None
    return Caller.of(conf) if isinstance(conf, Mapping) and KEY in conf else None


def _logged_in() -> Caller:
    """Return who asks Airflow's web server."""
    import logging

    from airflow.www.extensions.init_auth_manager import get_auth_manager

    try:
        manager = get_auth_manager()
        user = manager.get_user()
        return from_permissions(manager, user, str(getattr(user, "username", "")), DOCUMENTS)
    except Exception:  # whoever it is may do nothing then
        logging.getLogger(__name__).exception("It is not known who starts the run")
        return NOBODY
