"""Airflow's own users and what their roles allow."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.configuration import conf
from airflow.models import DagModel
from airflow.www.extensions.init_appbuilder import init_appbuilder
from airflow.www.extensions.init_auth_manager import get_auth_manager
from flask import Flask
from flask_appbuilder.const import AUTH_LDAP

from ..callers import DOCUMENTS, NOBODY, Caller, from_permissions


class RequiredPermission(NamedTuple):
    """What a user must be allowed to do."""

    #: As in REST: ``GET`` to read, ``POST`` to create, ``PUT`` to change.
    method: str
    #: ``dag``, ``run`` or ``document``.
    what: str


class Users:
    """Airflow's users, as its web server knows them."""

    def __init__(self) -> None:
        """Load Airflow's auth manager, and make the permission for documents."""
        # An application that serves nothing: Airflow's auth manager is made for its web pages.
        self._app = Flask(__name__)
        self._app.config.from_pyfile(conf.get_mandatory_value("webserver", "config_file"), silent=True)
        self._app.config["SQLALCHEMY_DATABASE_URI"] = conf.get("database", "sql_alchemy_conn")
        self._app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
        self._app.config["SECRET_KEY"] = conf.get("webserver", "secret_key")
        with self._app.app_context():
            init_appbuilder(self._app)
            self._manager: Any = get_auth_manager()
            manager: Any = self._manager.security_manager
            permission = manager.create_permission("can_create", DOCUMENTS)
            manager.add_permission_to_role(manager.find_role("Admin"), permission)

    def log_in(self, name: str, password: str) -> int | None:
        """Return a user's number; none if there is no such user with this password."""
        # Of its own, because logging in notes things in Flask's session.
        with self._app.test_request_context():
            manager = self._manager.security_manager
            user = manager.auth_user_ldap(name, password) if manager.auth_type == AUTH_LDAP else None
            user = user or manager.auth_user_db(name, password)
            return user.id if user else None

    def allows(self, number: int, needs: tuple[RequiredPermission, ...], dag_id: str | None) -> bool:
        """Tell whether a user may do something.

        :param number: the user's.
        :param needs: what the user must be allowed to do.
        :param dag_id: the DAG that it is about, none if it is about all.
        """
        with self._app.test_request_context():
            user = self._manager.security_manager.get_user_by_id(number)
            return user is not None and all(self._has(user, need, dag_id) for need in needs)

    def caller(self, number: int) -> Caller:
        """Return what a user may do in a run.

        :param number: the user's.
        """
        with self._app.test_request_context():
            user = self._manager.security_manager.get_user_by_id(number)
            return from_permissions(self._manager, user, user.username, DOCUMENTS) if user else NOBODY

    def _has(self, user: Any, need: RequiredPermission, dag_id: str | None) -> bool:
        allowed: bool
        if need.what == "document":
            allowed = self._manager.is_authorized_custom_view(method=need.method, resource_name=DOCUMENTS, user=user)
        else:
            allowed = self._manager.is_authorized_dag(
                method=need.method,
                access_entity=DagAccessEntity.RUN if need.what == "run" else None,
                details=DagDetails(id=dag_id) if dag_id and self._may_be_asked_for(dag_id) else None,
                user=user,
            )
        return allowed

    def _may_be_asked_for(self, dag_id: str) -> bool:
        """Tell whether Airflow knows what a DAG is: one with a dot that is not there makes it fail."""
        # One that nobody may ask for by name is for those who may see all.
        return "." not in dag_id or self._manager.appbuilder.get_session.get(DagModel, dag_id) is not None
