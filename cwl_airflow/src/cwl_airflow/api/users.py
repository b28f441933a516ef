"""Airflow's own users and what their roles allow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

from ..callers import ALL_DAGS, DOCUMENTS, Caller, from_permissions


class RequiredPermission(NamedTuple):
    """What a user must be allowed to do."""

    #: As in REST: ``GET`` to read, ``POST`` to create, ``PUT`` to change.
    method: str
    #: ``dag``, ``run`` or ``document``.
    what: str


class Users:
    """Airflow's users, as its api-server knows them."""

    def __init__(self) -> None:
        """Load Airflow's auth manager, and make the permission for documents."""
        self._manager = cast(Any, init_auth_manager())
        # Nothing of it is served: it makes the application of Flask in which the auth manager looks for users.
        self._manager.get_fastapi_app()
        self._app = self._manager.flask_app
        with self._app.app_context():
            manager: Any = self._manager.security_manager
            permission = manager.create_permission("can_create", DOCUMENTS)
            manager.add_permission_to_role(manager.find_role("Admin"), permission)

    @contextmanager
    def log_in(self, name: str, password: str) -> Iterator[LoggedInUser | None]:
        """Give a user; none if there is no such user with this password."""
        # As Airflow's own POST /auth/token does it.
        with self._app.app_context():
            user = self._manager.create_token(headers={}, body={"username": name, "password": password})
            yield LoggedInUser(self._manager, user) if user else None


class LoggedInUser:
    """A user of Airflow, loaded once with all that the roles allow."""

    def __init__(self, manager: Any, user: Any) -> None:
        """Take Airflow's auth manager and its user."""
        self._manager, self._user = manager, user

    def allows(self, needs: tuple[RequiredPermission, ...], dag_id: str | None) -> bool:
        """Tell whether the user may do something.

        :param needs: what the user must be allowed to do.
        :param dag_id: the DAG that it is about, none if it is about all.
        """
        return all(self._has(need, dag_id) for need in needs)

    def caller(self) -> Caller:
        """Return what the user may do in a run."""
        return from_permissions(self._manager, self._user, self._user.username, DOCUMENTS)

    def _has(self, need: RequiredPermission, dag_id: str | None) -> bool:
        allowed: bool
        if need.what == "document":
            allowed = self._manager.is_authorized_custom_view(
                method=need.method, resource_name=DOCUMENTS, user=self._user
            )
        else:
            named = dag_id or (ALL_DAGS if need.what == "dag" else None)
            allowed = self._manager.is_authorized_dag(
                method=need.method,
                access_entity=DagAccessEntity.RUN if need.what == "run" else None,
                details=DagDetails(id=named) if named else None,
                user=self._user,
            )
        return allowed
