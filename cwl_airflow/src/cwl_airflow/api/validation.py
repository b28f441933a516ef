"""connexion's checks of requests by the specification, with answers of one line that do not repeat all that came."""

from __future__ import annotations

from typing import Any

from connexion.decorators.validation import ParameterValidator, RequestBodyValidator
from connexion.exceptions import BadRequestProblem

from .problems import one_line


class Body(RequestBodyValidator):  # type: ignore[misc]  # connexion is not typed
    """Checks bodies."""

    def validate_schema(self, data: Any, url: str) -> None:
        """Check a body; what is wrong with it does not go to the log, as a body may hold secrets."""
        if data is None and self.is_null_value_valid:
            return
        for error in self.validator.iter_errors(data):
            raise BadRequestProblem(detail=f"The body is not as specified: {one_line(error.message)}.")


class Parameter(ParameterValidator):  # type: ignore[misc]
    """Checks parameters."""

    @staticmethod
    def validate_parameter(kind: str, value: Any, parameter: dict[str, Any], name: str | None = None) -> str | None:
        """Return what is wrong with a parameter, if something is."""
        error = ParameterValidator.validate_parameter(kind, value, parameter, name)
        return f"{parameter['name']}: {one_line(error.partition(chr(10))[0])}." if error else None


#: For connexion's ``add_api``.
VALIDATORS = {"body": Body, "parameter": Parameter}
