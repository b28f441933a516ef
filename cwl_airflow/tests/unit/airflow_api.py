"""A stand-in for Airflow's REST API: a real HTTP server that answers what a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: An answer: a status with JSON or text, or none to close the connection without one.
Answer = tuple[int, Any] | None
API, LOGIN = "/api/v2", "POST /auth/token"


def tasks_answer(tasks: Sequence[Mapping[str, Any]]) -> Answer:
    """Return the answer to the question for the tasks of a run."""
    return 200, {"task_instances": tasks, "total_entries": len(tasks)}


def log_answer(*messages: str | Mapping[str, Any]) -> Answer:
    """Return the answer to the question for the log of a task.

    :param messages: what the task wrote, or a message as Airflow describes it.
    """
    content = [{"event": message, "level": "info"} if isinstance(message, str) else message for message in messages]
    return 200, {"content": content, "continuation_token": None}


class AirflowApi(ThreadingHTTPServer):
    """Keeps what was asked, and answers each question with the next of its answers, the last one again and again.

    Whoever logs in gets the next token of `token-1`, `token-2`, and so on.
    """

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on any port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.logins: list[Any] = []
        self._answers: dict[str, list[Answer | Callable[[], Answer]]] = {}

    def answer(self, question: str, *answers: Answer | Callable[[], Answer]) -> None:
        """Say how to answer a question.

        :param question: method and path, as ``GET /dags/a``.
        """
        self._answers[question] = list(answers)

    def next_answer(self, question: str) -> Answer:
        """Return how to answer a question."""
        answers = self._answers.get(question)
        if not answers:
            return 404, {"title": "not found"}
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer() if callable(answer) else answer

    def log_in(self) -> Answer:
        """Return how to answer a login."""
        if LOGIN in self._answers:
            return self.next_answer(LOGIN)
        return 201, {"access_token": f"token-{len(self.logins)}"}

    def questions(self) -> list[str]:
        """Return what was asked, without bodies."""
        return [question for question, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: AirflowApi

    def _answer(self) -> None:
        url = urlsplit(self.path)
        question = f"{self.command} {url.path.removeprefix(API)}"
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        is_json = self.headers.get("Content-Type") == "application/json"
        content = (json.loads(body) if is_json else body) if length else parse_qs(url.query)
        if question == LOGIN:
            self.server.logins.append(content)
            answer = self.server.log_in()
        else:
            self.server.requests.append((question, content))
            self.server.headers.append(dict(self.headers))
            answer = self.server.next_answer(question)
        if answer is None:
            self.connection.close()
            return
        status, body = answer
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.end_headers()
        if status != 204:
            self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def serve() -> Iterator[AirflowApi]:
    """Answer in a thread meanwhile."""
    with AirflowApi() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
