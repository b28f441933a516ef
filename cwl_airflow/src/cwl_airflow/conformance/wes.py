"""The Workflow Execution Service (WES) of a CWL API.

Source: https://ga4gh.github.io/workflow-execution-service-schemas/ (1.0.0)
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import requests

from ..documents.plan import STATISTICS
from ..rest import SHOWN_ANSWER, TIMEOUT, RestError
from .request import SuiteRequest

#: Below the URL of the CWL API.
PATH = "/api/experimental/wes"
#: What is answered to a request that is not as it must be, or asks for what may not be.
REFUSALS = (400, 403, 413)


class RunRefused(Exception):
    """The CWL API does not take the document or the job; the message says why."""


class WesClient:
    """A CWL API, as one user."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Take where it is and who asks; nothing is sent yet.

        :param url: of the CWL API.
        """
        self._url = url.rstrip("/") + PATH
        self._session = requests.Session()
        self._session.auth = (user, password)

    def check_login(self) -> None:
        """See that the user may run documents: what is sent is no document, so that nothing runs.

        :raises RestError: the user may not, or the API cannot be reached.
        """
        answer = self._ask("POST", "runs", data={"workflow_type": "CWL"})
        if answer.status_code != 400:  # it looks at a request after it has looked at who sends it
            raise RestError(_describe(answer))

    def submit(self, request: SuiteRequest) -> str:
        """Run a document, and return the name of the run, which is its DAG's as well.

        :raises RunRefused: the document or the job is not taken.
        :raises RestError: the API cannot be reached, or fails.
        """
        with ExitStack() as stack:
            files: list[tuple[str, Any]] = [
                ("workflow_attachment", (name, stack.enter_context(path.open("rb"))))
                for name, path in request.files.items()
            ]
            fields = {"workflow_params": json.dumps(request.job), "workflow_url": request.document}
            answer = self._ask("POST", "runs", data=fields, files=files)
        if answer.status_code in REFUSALS:
            raise RunRefused(_describe(answer))
        return str(_content(answer)["run_id"])

    def get_outputs(self, run_id: str) -> dict[str, Any]:
        """Return the outputs of a run that succeeded.

        :raises RestError: the API cannot be reached, or does not know the run.
        """
        outputs: dict[str, Any] = _content(self._ask("GET", f"runs/{quote(run_id, safe='')}"))["outputs"]
        outputs.pop(STATISTICS, None)
        return outputs

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        url = f"{self._url}/{path}"
        try:
            return self._session.request(method, url, timeout=TIMEOUT, **more)
        except requests.RequestException as error:
            raise RestError(f"{method} {url}: {error}") from error


def _content(answer: requests.Response) -> Any:
    if not answer.ok:
        raise RestError(_describe(answer))
    return answer.json()


def _describe(answer: requests.Response) -> str:
    """Say what is answered; a problem (RFC 9457) says it itself."""
    try:
        text = str(answer.json()["detail"])
    except (ValueError, TypeError, KeyError):
        text = answer.text[:SHOWN_ANSWER]
    return f"{answer.request.method} {answer.url}: {answer.status_code} {text}"
