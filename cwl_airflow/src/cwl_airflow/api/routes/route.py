"""What all routes share: each has a declaration of who may use it, and bodies are read strictly."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_origin

from fastapi import APIRouter
from fastapi.params import Form
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ... import strict_json
from ..access import Access
from ..bodies import body_size, body_tail, whole_body
from ..limits import LARGEST_FIELD
from ..problems import PROBLEM, Problem

#: What may be answered in place of a result by every route.
REFUSALS = {
    400: "The request is malformed; what is wrong is said.",
    401: "Nobody is known to ask.",
    403: "Who asks may not do this.",
    413: "The request is too large.",
    415: "The body is of another media type.",
    429: "Too many logins from this address failed.",
    500: "An unexpected error occurred.",
    503: "The server has too much to do: ask again later.",
}
#: What only some answer.
NOT_THERE = {404: "There is no such DAG or run."}
IN_THE_WAY = {409: "A DAG or run of this name is there, or cannot be stopped."}
#: Files of a form, and fields, which stay in memory.
MOST_PARTS = 1000


def refusal_answers(*more: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the specification of what a route may answer in place of a result.

    :param more: what it answers besides what all do.
    """
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    found = {status: text for texts in (REFUSALS, *more) for status, text in texts.items()}
    return {
        status: {"description": found[status], "content": {PROBLEM: {"schema": schema}}} for status in sorted(found)
    }


class StrictRequest(Request):
    """A request whose body is read as a whole, and says each thing once."""

    #: Fields of a form that may be in it once.
    once: frozenset[str] = frozenset()

    async def json(self) -> Any:
        """Return what JSON says."""
        # In a thread: a large one takes a while, and other clients do not wait for it.
        try:
            return await run_in_threadpool(strict_json.loads, whole_body(self.scope))
        except ValueError as error:
            raise Problem(400, f"The body cannot be read: {error}") from error

    async def _get_form(self, **_limits: Any) -> FormData:
        """Return a form, as Starlette reads it."""
        _check_form(self.scope, self.headers.get("content-type", ""))
        try:
            form = await super()._get_form(max_files=MOST_PARTS, max_fields=MOST_PARTS, max_part_size=LARGEST_FIELD)
        except HTTPException as error:
            status = 413 if "maximum" in error.detail.lower() else 400
            raise Problem(status, f"The form cannot be read: {error.detail}") from error
        names = [name for name, _ in form.multi_items()]
        if twice := sorted(name for name in self.once if names.count(name) > 1):
            raise Problem(400, f"The request must have one '{twice[0]}'")
        for _, value in form.multi_items():
            if not isinstance(value, str):
                _check_utf8(value.headers.get("content-disposition", ""))
        return form


def _check_form(scope: Any, header: str) -> None:
    """Refuse a form that Starlette would take: one that was cut off, or a long one that it is slow to read.

    :raises Problem: says what is wrong.
    """
    kind, options = parse_options_header(header)
    if kind == b"application/x-www-form-urlencoded" and body_size(scope) > LARGEST_FIELD:
        raise Problem(413, f"A form of this kind has at most {LARGEST_FIELD} bytes")
    boundary = options.get(b"boundary")
    if kind == b"multipart/form-data" and boundary and b"--%b--" % boundary not in body_tail(scope):
        raise Problem(400, "The form has no end: something of it is missing")


def _check_utf8(header: str) -> None:
    try:
        header.encode("latin-1").decode()
    except UnicodeError as error:
        raise Problem(400, "The form has a file whose name is not UTF-8") from error


class StrictRoute(APIRoute):
    """A route with a declaration of what it asks (`access.needs`)."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Make the route; its name, summary and description are those of its function.

        :raises TypeError: nothing says who may use it.
        """
        access = getattr(endpoint, "access", None)
        if not isinstance(access, Access):
            raise TypeError(f"{endpoint.__name__} does not say who may use it: see access.needs")
        summary, _, description = (inspect.getdoc(endpoint) or "").partition("\n\n")
        options |= {"summary": summary, "operation_id": endpoint.__name__}
        options["openapi_extra"] = {"security": access.security()}
        super().__init__(path, endpoint, **options)
        self.description = description

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return what answers a request."""
        handle = super().get_route_handler()
        field = self.body_field
        takes_json = field is not None and not isinstance(field.field_info, Form)
        fields = () if takes_json else self.dependant.body_params
        once = frozenset(each.alias for each in fields if get_origin(each.field_info.annotation) is not list)

        async def strictly(request: Request) -> Any:
            if takes_json and body_size(request.scope) and not _is_json(request.headers.get("content-type", "")):
                raise Problem(415, "The body must be of the media type application/json")
            strict = StrictRequest(request.scope, request.receive)
            strict.once = once
            return await handle(strict)

        return strictly


def _is_json(header: str) -> bool:
    kind = header.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def make_router(*tags: str) -> APIRouter:
    """Return what routes are added to.

    :param tags: under which the specification lists them.
    """
    return APIRouter(route_class=StrictRoute, tags=list(tags))
