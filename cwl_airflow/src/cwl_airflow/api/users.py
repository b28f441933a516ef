"""Airflow's own users and what their roles allow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, cast

import jwt
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.providers.fab.auth_manager.security_manager.override import FabException

from ..callers import ALL_DAGS, DOCUMENTS, Caller, from_permissions

#: The role that no shell gets: a member of its group could be called like the administrator.
ADMINISTRATORS = "Admin"
#: In place of a password's hash: no password has it.
NO_PASSWORD = "!"  # nosec B105  # none


class NoShellUser(Exception):
    """Who has a shell on this host is no user of Airflow; the message says why."""


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

    @contextmanager
    def with_token(self, token: str) -> Iterator[LoggedInUser | None]:
        """Give the user of a token of Airflow's; none if it is not good."""
        with self._app.app_context():
            try:
                user = asyncio.run(self._manager.get_user_from_token(token))
            except jwt.InvalidTokenError:
                user = None
            yield LoggedInUser(self._manager, user) if user else None

    def shell_token(self, name: str, full_name: str, role: str, lifetime: int) -> str:
        """Return a token of Airflow's for who has a shell on this host, who becomes its user if need be.

        :param name: of the account.
        :param full_name: of the person, if it is known.
        :param role: that a new user gets.
        :param lifetime: for how long the token is good, in seconds.
        :raises NoShellUser: there is none for this account.
        """
        with self._app.app_context():
            manager: Any = self._manager.security_manager
            user = manager.find_user(username=name)
            if user is None:
                user = self._add_shell_user(manager, name, full_name, role)
            # Databases take letters for the same that are not.
            if user.username != name:
                raise NoShellUser(f"Airflow has a user '{user.username}', who may be another person than {name}.")
            if not user.is_active:
                raise NoShellUser(f"The user '{name}' of Airflow is not active.")
            roles = {each.name for each in manager.get_user_roles(user)}
            if not roles:
                raise NoShellUser(f"The user '{name}' of Airflow has no role: an administrator, or a group, gives one.")
            if ADMINISTRATORS in roles or LoggedInUser(self._manager, user).caller().documents:
                raise NoShellUser(f"'{name}' is an administrator in Airflow, which no shell is: use sudo.")
            token: str = self._manager.generate_jwt(user, expiration_time_in_seconds=lifetime)
            return token

    @staticmethod
    def _add_shell_user(manager: Any, name: str, full_name: str, role: str) -> Any:
        found = manager.find_role(role)
        if found is None or role == ADMINISTRATORS:
            raise NoShellUser(f"[cwl] shell_role is '{role}', which is no role of Airflow for a shell.")
        with suppress(FabException):  # another command of this person was faster
            manager.add_user(
                username=name,
                first_name=full_name or name,
                last_name="",
                email=f"{name}@localhost",
                role=found,
                hashed_password=NO_PASSWORD,
            )
        user = manager.find_user(username=name)
        if user is None:
            raise NoShellUser(f"Airflow could not add the user '{name}': the log of airflow-cwl-api says why.")
        return user


class LoggedInUser:
    """A user of Airflow, loaded once with all that the roles allow."""

    def __init__(self, manager: Any, user: Any) -> None:
        """Take Airflow's auth manager and its user."""
        self._manager, self._user = manager, user

    @property
    def name(self) -> str:
        """The user's name."""
        return str(self._user.username)

    def allows(self, needs: tuple[RequiredPermission, ...], dag_id: str | None) -> bool:
        """Tell whether the user may do something.

        :param needs: what the user must be allowed to do.
        :param dag_id: the DAG that it is about, none if it is about all.
        """
        return all(self._has(need, dag_id) for need in needs)

    def caller(self) -> Caller:
        """Return what the user may do in a run."""
        return from_permissions(self._manager, self._user, self.name, DOCUMENTS)

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
