"""What a route asks of who uses it: declared at the route, enforced by the gate before anything else."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from ..callers import Caller
from .database import end_session
from .stop import CLEAN_DAG_RUN, target
from .users import RequiredPermission

READ_DAG, READ_RUN = RequiredPermission("GET", "dag"), RequiredPermission("GET", "run")
TRIGGER, STOP, ADD = (
    RequiredPermission("POST", "run"),
    RequiredPermission("PUT", "run"),
    RequiredPermission("POST", "document"),
)

#: Ways to make oneself known, as the specification has them. One of them is enough.
SCHEMES = {
    "user": {"type": "http", "scheme": "basic", "description": "A user of Airflow."},
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JSON Web Token that is good for one request, or a login of Airflow.",
    },
}

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class RequestParts:
    """Where a request may say what it is about."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    #: Returns what JSON there is in the body; none if it is no object.
    body: Callable[[], dict[str, Any] | None]


Where = Callable[[RequestParts], Any]


def in_path(name: str) -> Where:
    """Say that something is in the path."""
    return lambda parts: parts.path.get(name)


def in_query(name: str) -> Where:
    """Say that something is in the query."""
    return lambda parts: parts.query.get(name)


def in_body(name: str) -> Where:
    """Say that something is in the body, which is JSON."""
    return lambda parts: (parts.body() or {}).get(name)


@dataclass(frozen=True)
class Access:
    """What a user must be allowed to do, and with which DAG."""

    needs: tuple[RequiredPermission, ...]
    #: Where the DAG is named; without it the route is about all of them.
    dag: Where | None = None
    #: Where the run is named that is stopped, if the DAG is `CLEAN_DAG_RUN`.
    stops: Where | None = None
    #: Whether the body may have a token that is good for this run in place of a login.
    takes_trigger_token: bool = False

    def named(self, parts: RequestParts) -> str | None:
        """Return the DAG that a request names; none if it is about all."""
        return self.dag(parts) if self.dag else None

    def asked(self, parts: RequestParts) -> tuple[tuple[RequiredPermission, ...], str | None]:
        """Return what a user must be allowed to do for a request, and the DAG; none if it is about all.

        :raises ValueError: it does not say which run is to be stopped.
        """
        dag_id = self.named(parts)
        if self.stops and dag_id == CLEAN_DAG_RUN:
            return (STOP,), target(self.stops(parts))[0]
        return self.needs, dag_id

    def security(self) -> list[dict[str, list[str]]]:
        """Return how one may make oneself known, as the specification has it."""
        ways: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]
        return [*ways, {}] if self.takes_trigger_token else ways


#: What is asked where nothing is served: who may see DAGs may know that there is nothing.
ELSEWHERE = Access((READ_DAG,))


def needs(
    *wanted: RequiredPermission, dag: Where | None = None, stops: Where | None = None, takes_trigger_token: bool = False
) -> Callable[[Function], Function]:
    """Declare what a route asks, see `Access`. A route without it cannot be made."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def done(*arguments: Any, **more: Any) -> Any:
            try:
                return function(*arguments, **more)
            finally:
                end_session()

        done.access = Access(wanted, dag, stops, takes_trigger_token)  # type: ignore[attr-defined]
        return done  # type: ignore[return-value]

    return decorate


async def _rights(request: Request) -> Caller:
    caller: Caller = request.state.rights
    return caller


#: For a route: what may be read in the run that it starts.
Rights = Annotated[Caller, Depends(_rights)]
