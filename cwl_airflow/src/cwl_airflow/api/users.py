"""Airflow's own users and what their roles allow."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

from ..callers import ALL_DAGS, DOCUMENTS, NOBODY, Caller, from_permissions


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

    def log_in(self, name: str, password: str) -> int | None:
        """Return a user's number; none if there is no such user with this password."""
        # As Airflow's own POST /auth/token does it.
        with self._app.app_context():
            user = self._manager.create_token(headers={}, body={"username": name, "password": password})
            return user.id if user else None

    def allows(self, number: int, needs: tuple[RequiredPermission, ...], dag_id: str | None) -> bool:
        """Tell whether a user may do something.

        :param number: the user's.
        :param needs: what the user must be allowed to do.
        :param dag_id: the DAG that it is about, none if it is about all.
        """
        with self._app.app_context():
            user = self._manager.security_manager.get_user_by_id(number)
            return user is not None and all(self._has(user, need, dag_id) for need in needs)

    def caller(self, number: int) -> Caller:
        """Return what a user may do in a run.

        :param number: the user's.
        """
        with self._app.app_context():
            user = self._manager.security_manager.get_user_by_id(number)
            return from_permissions(self._manager, user, user.username, DOCUMENTS) if user else NOBODY

    def _has(self, user: Any, need: RequiredPermission, dag_id: str | None) -> bool:
        allowed: bool
        if need.what == "document":
            allowed = self._manager.is_authorized_custom_view(method=need.method, resource_name=DOCUMENTS, user=user)
        else:
            named = dag_id or (ALL_DAGS if need.what == "dag" else None)
            allowed = self._manager.is_authorized_dag(
                method=need.method,
                access_entity=DagAccessEntity.RUN if need.what == "run" else None,
                details=DagDetails(id=named) if named else None,
                user=user,
            )
        return allowed
