"""What the CWL API says of itself: FastAPI's OpenAPI document of the routes, with what all of them share.

Source: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from .access import SCHEMES
from .models import ProblemDetails


def specification(app: FastAPI, base: str) -> dict[str, Any]:
    """Return the specification of the CWL API.

    :param app: the application with all routes.
    :param base: the path below which they are.
    """
    found: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    # Relative to the document itself, whatever a proxy has before it.
    found["servers"] = [{"url": f"../{base.rpartition('/')[2]}"}]
    found["paths"] = {path.removeprefix(base): operations for path, operations in found["paths"].items()}
    for operations in found["paths"].values():
        for operation in operations.values():
            _mend(operation)
    parts = found["components"]
    parts["securitySchemes"] = SCHEMES
    parts["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    return found


def _mend(operation: dict[str, Any]) -> None:
    """Say what FastAPI cannot be told."""
    operation["responses"].pop("422", None)  # it is 400 here
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        # What may be left out is none in Python, and cannot be null in a query.
        kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
        parameter["schema"] = {**schema, **kinds[0]} if kinds else schema
        if parameter["in"] == "query":
            parameter["explode"] = False  # a name is in the query once, with its values after a comma
