"""The WSGI application of the CWL API: who asks, what they may do, and then the handlers."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote, urlsplit

import connexion
from airflow import settings
from connexion.apps.flask_app import FlaskJSONProvider
from connexion.resolver import Resolver
from flask import Flask, Response, g, request

from .. import strict_json
from ..callers import Caller, everything
from .limits import LARGEST_JOB, LARGEST_UPLOAD
from .names import check_name
from .problems import PROBLEM, described
from .specification import specification
from .stop import CLEAN_DAG_RUN, target
from .tokens.claims import SAFE_METHODS, Refused
from .tokens.requests import accept_request, accept_trigger, bearer, is_configured
from .tokens.used import create_tables
from .users import Need, Users
from .validation import VALIDATORS

log = logging.getLogger(__name__)

BASE = "/api/experimental"

READ_DAG, READ_RUN = Need("GET", "dag"), Need("GET", "run")
TRIGGER, STOP, ADD = Need("POST", "run"), Need("PUT", "run"), Need("POST", "document")
#: The one whose token is in the body.
TRIGGER_OPERATION = "post_dag_runs_legacy"
#: Those that stop a run where they name `CLEAN_DAG_RUN`.
TRIGGERS = ("post_dag_runs", TRIGGER_OPERATION)
#: Those that name their DAG in the query.
BY_QUERY = ("post_dags", "get_dag_runs", "post_dag_runs", "post_dags_dag_runs")
#: What a user needs for each operation of the specification. What is not here is for nobody.
NEEDS: dict[str, tuple[Need, ...]] = {
    "get_dags": (READ_DAG,),
    "post_dags": (ADD,),
    # Airflow asks for a DAG that is named only, and these show the runs of all where none is.
    "get_dag_runs": (READ_DAG, READ_RUN),
    "post_dag_runs": (TRIGGER,),
    "post_dag_runs_legacy": (TRIGGER,),
    "post_dags_dag_runs": (ADD, TRIGGER, STOP),  # a run of the same name makes way
    "wes_get_service_info": (READ_DAG,),
    "wes_list_runs": (READ_DAG, READ_RUN),
    "wes_run_workflow": (ADD, TRIGGER),
    "wes_get_run_log": (READ_RUN,),
    "wes_get_run_status": (READ_RUN,),
    "wes_cancel_run": (STOP,),
}
#: The specification itself, and the page that shows it.
PAGES = (f"{BASE}/swagger.json", f"{BASE}/ui/")


def create_app(handlers: Any = None) -> Flask:
    """Make the application.

    :param handlers: an object with a method for each operation of the specification; ours by default.
    """
    if handlers is None:
        from .handlers import Handlers

        handlers = Handlers()
    create_tables()
    served = connexion.FlaskApp(__name__)
    app: Flask = served.app
    # Whoever asks for a DAG without a name is not to be sent to another operation.
    app.url_map.merge_slashes = False
    find = Resolver(lambda name: getattr(handlers, name))
    served.add_api(specification(), resolver=find, validator_map=VALIDATORS)
    app.json = _Json(app)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_UPLOAD
    gate = _Gate(Users())
    app.before_request(gate.admit)
    app.after_request(gate.withdraw)
    app.teardown_appcontext(lambda _error: settings.Session.remove())
    # What was read until now began a transaction, which nobody would end.
    settings.Session.remove()
    return app


class _Json(FlaskJSONProvider):  # type: ignore[misc]  # connexion is not typed
    """What reads the bodies of requests."""

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return strict_json.loads(s)


class _Gate:
    """Lets a request in, or answers it."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def admit(self) -> Response | None:
        """Answer a request that may not go on: 401 if nobody is known to ask, 403 if they may not."""
        # A browser sends along the password that it keeps, whichever page the request comes from.
        origin = request.headers.get("Origin")
        if origin and request.method not in SAFE_METHODS and _host(origin) != request.host:
            return _problem(403, "The request comes from a page of another site.")
        if wrong := _malformed():
            return _problem(400, wrong)
        token, login, user = bearer(request), request.authorization, None
        if login and login.type == "basic" and login.username and login.password:
            user = self._users.log_in(login.username, login.password)
            if user is None:
                log.warning("%s refused: login of %r", _asked(), login.username)
                return _unknown("User or password is wrong.")
        known = user is not None or token is not None  # a token is checked before the body is read
        if _operation() == TRIGGER_OPERATION and not known and not 0 < (request.content_length or 0) <= LARGEST_JOB:
            detail = f"Without a login the body must have 1 to {LARGEST_JOB} bytes, and say so (Content-Length)."
            return _problem(413, detail)
        try:
            if token is not None:
                g.caller, g.used = accept_request(token, request)
                g.rights = everything(g.caller)  # the key's holder may ask for anything
            elif (body := self._signed_body()) is not None:
                g.caller, g.used = accept_trigger(body, request.view_args["dag_id"])
                g.rights = Caller(g.caller, reads=None)  # to trigger, and nothing else
            elif user is None:
                return _unknown("The CWL API asks for a user of Airflow or a token.")
            else:
                return self._admit_user(user, login.username)
        except Refused as error:
            log.warning("%s refused: %s", _asked(), error)
            return _problem(403, f"Token refused: {error}.")
        log.info("%s by %s", _asked(), g.caller)
        return None

    def withdraw(self, response: Response) -> Response:
        """Let a token be used again whose request was refused, for instance as the DAG is not there yet."""
        used = g.pop("used", None)
        if used and response.status_code >= 400:
            used.withdraw()
        return response

    def _signed_body(self) -> dict[str, Any] | None:
        """Return the body of a request to trigger a DAG if it has a token."""
        if _operation() != TRIGGER_OPERATION:
            return None
        body = request.get_json(silent=True)
        return body if isinstance(body, dict) and "token" in body else None

    def _admit_user(self, user: int, name: str) -> Response | None:
        operation = _operation()
        known = NEEDS.get(operation)
        needs, dag_id = ((READ_DAG,) if known is None else known), _dag_id(operation)
        if operation in TRIGGERS and dag_id == CLEAN_DAG_RUN:
            try:
                needs, dag_id = (STOP,), _stopped(operation)
            except ValueError as error:
                return _problem(400, str(error))
        allowed = self._users.allows(user, needs, dag_id)
        if not allowed or (known is None and request.url_rule and not request.path.startswith(PAGES)):
            log.warning("%s refused: not allowed for %r", _asked(), name)
            return _problem(403, f"The roles of '{name}' in Airflow do not allow this.")
        g.caller, g.rights = name, self._users.caller(user)
        log.info("%s by %s", _asked(), g.caller)
        return None


def _asked() -> str:
    """Return what is asked for, as one line for the log."""
    return f"{request.method} {quote(request.path)}"


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _malformed() -> str | None:
    """Say what is wrong with the parameters of a request, whatever it is for."""
    # Which one counts is for the handlers to say, and what a user may do must not depend on it.
    if any(len(values) > 1 for _, values in request.args.lists()):
        return "A parameter is given twice."
    try:
        for name, value in [*(request.view_args or {}).items(), *request.args.items()]:
            check_name("A parameter", name)
            if name != "conf":
                check_name(name, value)
    except ValueError as error:
        return str(error)
    return None


def _operation() -> str:
    return (request.endpoint or "").rpartition(".")[2]


def _dag_id(operation: str) -> str | None:
    """Return the DAG that the request is about; none if it is about all of them, whatever else its query says."""
    found: dict[str, str] = request.args if operation in BY_QUERY else request.view_args or {}
    # A run of WES is the only one of a DAG of the same name.
    return found.get("run_id" if operation.startswith("wes_") else "dag_id")


def _stopped(operation: str) -> str:
    """Return the DAG of the run that is to be stopped, from where the operation takes it.

    :raises ValueError: the request does not say.
    """
    if operation != TRIGGER_OPERATION:
        return target(request.args.get("conf"))[0]
    body = request.get_json(silent=True)
    return target(body.get("conf") if isinstance(body, dict) else None)[0]


def _unknown(detail: str) -> Response:
    response = _problem(401, detail)
    response.headers.add("WWW-Authenticate", 'Basic realm="CWL API", charset="UTF-8"')
    if is_configured():
        response.headers.add("WWW-Authenticate", "Bearer")
    return response


def _problem(status: int, detail: str) -> Response:
    return Response(json.dumps(described(status, detail)), status, mimetype=PROBLEM)
