"""Nothing of the CWL API is reached but through here: who asks, and whether they may.

A request is matched with its route, whose declaration (`access`) says what it asks. The route itself runs, and its
parameters are looked at, only after that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Match

from .. import strict_json
from ..callers import Caller, unrestricted_caller
from .access import ELSEWHERE, Access, RequestParts
from .bodies import body_size, whole_body
from .database import end_session
from .failed_logins import FailedLogins, client_of
from .limits import LARGEST_JOB
from .login import basic_credentials
from .names import check_name
from .problems import Answer, Problem
from .tokens.claims import SAFE_METHODS, TokenRefused, is_token_of_airflow
from .tokens.requests import accept_request, accept_trigger, bearer_token, signed_request, tokens_are_accepted
from .tokens.used import Acceptance
from .users import LoggedInUser, Users

log = logging.getLogger(__name__)


class Unauthenticated(Problem):
    """Nobody is known to ask."""

    def __init__(self, detail: str) -> None:
        """Answer with what is wrong."""
        super().__init__(401, detail)


class AdmissionMiddleware:
    """An application of ASGI, which lets requests through to another one."""

    def __init__(self, app: Any, routes: Iterable[Any], users: Users) -> None:
        """Note what is behind it."""
        self._app, self._routes, self._users, self._failed = app, routes, users, FailedLogins()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A request for the head of an answer is one for the answer, and what serves it sends no body.
        served = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        visit = Admission(scope, served, self._routes, self._users, self._failed)
        try:
            rights = await run_in_threadpool(visit.admit)
        except Problem as refusal:
            answer = Answer(refusal.status_code, refusal.detail)
            if isinstance(refusal, Unauthenticated):
                await run_in_threadpool(_add_challenges, answer)
            await answer(scope, receive, send)
            return
        served["state"] = {**scope.get("state", {}), "rights": rights}
        await visit.serve(self._app, served, receive, send)


class Admission:
    """One request at the gate."""

    def __init__(self, scope: Any, served: Any, routes: Iterable[Any], users: Users, failed: FailedLogins) -> None:
        """Find the route that it is for."""
        self._request, self._users, self._failed = Request(scope), users, failed
        self._access, path = _find_access(served, routes)
        self._parts = RequestParts(path, self._request.query_params, self._json)
        self._used: Acceptance | None = None
        self._body: tuple[Any] | None = None

    def admit(self) -> Caller:
        """Return what may be read in a run that the request starts.

        :raises Problem: it may not go on: 401 if nobody is known to ask, 403 if they may not, 429 if too many tried.
        """
        try:
            with ExitStack() as opened:
                return self._admit(opened)
        except TokenRefused as error:
            log.warning("%s refused: %s", self._asked(), error)
            raise Problem(403, f"Token refused: {error}") from error
        finally:
            end_session()

    async def serve(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """Have the request answered. If it is refused, its token may be used again: the DAG may come yet."""
        answered = False

        async def note(message: Any) -> None:
            nonlocal answered
            # Before the answer is out: the next request may come at once.
            if message["type"] == "http.response.start" and message["status"] >= 400:
                await self._withdraw()
            answered = True
            await send(message)

        try:
            await app(scope, receive, note)
        except Exception:  # not where the service stops: what was begun may still be done
            if not answered:
                await self._withdraw()
            raise

    async def _withdraw(self) -> None:
        used, self._used = self._used, None
        if used:
            await run_in_threadpool(used.withdraw)

    def _admit(self, opened: ExitStack) -> Caller:
        request = self._request
        # A browser sends along the password that it keeps, whichever page the request comes from.
        if request.method not in SAFE_METHODS and _is_from_elsewhere(request):
            raise Problem(403, "The request comes from a page of another site")
        _check_names(self._parts, request)
        header = request.headers.get("authorization", "")
        token, login, user = bearer_token(header), basic_credentials(header), None
        if login:
            client = client_of(request, login[0])
            self._failed.check(client)
            user = opened.enter_context(self._users.log_in(*login))
            if user is None:
                self._failed.note(client)
                log.warning("%s refused: login of %r", self._asked(), login[0])
                raise Unauthenticated("User or password is wrong")
        elif is_token_of_airflow(token):
            user = opened.enter_context(self._users.with_token(str(token)))
            if user is None:
                log.warning("%s refused: a token of Airflow's that is not good", self._asked())
                raise Unauthenticated("The token is none of Airflow's, or has expired")
            token = None
        known = user is not None or token is not None
        if self._access.takes_trigger_token and not known and not 0 < body_size(request.scope) <= LARGEST_JOB:
            raise Problem(413, f"Without a login the body must have 1 to {LARGEST_JOB} bytes")
        if token is not None:
            name, self._used = accept_request(token, signed_request(request, request.scope["path"]))
            rights = unrestricted_caller(name)  # the key's holder may ask for anything
        elif (body := self._signed()) is not None:
            name, self._used = accept_trigger(body, str(self._access.named(self._parts)))
            rights = Caller(name, reads=None)  # to trigger, and nothing else
        elif user is None:
            raise Unauthenticated("The CWL API asks for a user of Airflow or a token")
        else:
            name = user.name
            self._check_user(user, name)
            rights = user.caller()
        log.info("%s by %s", self._asked(), name)
        return rights

    def _check_user(self, user: LoggedInUser, name: str) -> None:
        try:
            needs, dag_id = self._access.asked(self._parts)
        except ValueError as error:
            raise Problem(400, str(error)) from error
        if not user.allows(needs, dag_id):
            log.warning("%s refused: not allowed for %r", self._asked(), name)
            raise Problem(403, f"The roles of '{name}' in Airflow do not allow this")

    def _signed(self) -> dict[str, Any] | None:
        """Return the body of a request to trigger a DAG if it has a token."""
        body = self._json() if self._access.takes_trigger_token else None
        return body if body is not None and "token" in body else None

    def _json(self) -> dict[str, Any] | None:
        if self._body is None:
            try:
                found = strict_json.loads(whole_body(self._request.scope))
            except ValueError:  # the route says what is wrong
                found = None
            self._body = (found if isinstance(found, dict) else None,)
        found = self._body[0]
        return found if isinstance(found, dict) else None

    def _asked(self) -> str:
        """Return what is asked for, as one line for the log."""
        return f"{self._request.method} {quote(self._request.scope['path'])}"


def _find_access(scope: Any, routes: Iterable[Any]) -> tuple[Access, dict[str, str]]:
    """Return what the route of a request asks, and the parameters in the path."""
    for route in routes:
        match, more = route.matches(scope)
        if match == Match.FULL:
            return route.endpoint.access, more["path_params"]
    return ELSEWHERE, {}


def _is_from_elsewhere(request: Request) -> bool:
    """Tell whether a request comes from a page of another site.

    Source: https://www.w3.org/TR/fetch-metadata/
    """
    origin = request.headers.get("origin")
    # Browsers say so over HTTPS; otherwise the proxy must leave the host as it is.
    if not origin or request.headers.get("sec-fetch-site") == "same-origin":
        return False
    try:
        return urlsplit(origin).netloc != request.headers.get("host")
    except ValueError:
        return True


def _check_names(parts: RequestParts, request: Request) -> None:
    """Refuse parameters that are malformed, whatever the request is for.

    :raises Problem: says what is wrong.
    """
    given = request.query_params.multi_items()
    # Which one counts is for the routes to say, and what a user may do must not depend on it.
    if len({name for name, _ in given}) < len(given):
        raise Problem(400, "A parameter is given twice")
    try:
        for name, value in (*parts.path.items(), *given):
            check_name("A parameter", name)
            if name != "conf":
                check_name(name, value)
    except ValueError as error:
        raise Problem(400, str(error)) from error


def _add_challenges(answer: Answer) -> None:
    """Say how one makes oneself known."""
    answer.headers.append("WWW-Authenticate", 'Basic realm="CWL API", charset="UTF-8"')
    try:
        if tokens_are_accepted():
            answer.headers.append("WWW-Authenticate", "Bearer")
    finally:
        end_session()
