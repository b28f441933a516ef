"""What a Celery worker does when it is asked to stop a run: in its main process, which takes no slot.

Source: https://docs.celeryq.dev/en/stable/userguide/workers.html#writing-your-own-remote-control-commands
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from ..environment import environment_without_options
from .model import StopRequest, WorkerAnswer

#: How many requests are remembered.
REMEMBERED_REQUESTS = 200


@dataclass(frozen=True)
class HostAgentProcess:
    """The program `host_agent` that does what a request says."""

    program: subprocess.Popen[bytes]
    output: IO[bytes]

    @classmethod
    def start(cls, request: StopRequest, places: Mapping[str, Any]) -> HostAgentProcess:
        """Start the program. Files and not pipes: the worker waits for nobody.

        :param places: the folders of this host, as JSON.
        """
        output = tempfile.TemporaryFile()  # noqa: SIM115  # read when the program has ended
        with tempfile.TemporaryFile() as text:
            text.write(json.dumps({"request": request.to_json(), "places": places}).encode())
            text.seek(0)
            command = [sys.executable, "-m", "cwl_airflow.stopping.host_agent"]
            return cls(subprocess.Popen(command, stdin=text, stdout=output, env=environment_without_options()), output)

    def read_remaining(self) -> list[str] | None:
        """Return what is still there when the program has ended; none before."""
        status = self.program.poll()
        if status is None:
            return None
        try:
            self.output.seek(0)
            remaining: list[str] = json.load(self.output)
        except ValueError:
            return [f"whatever it is: looking for it ended with {status}, see the worker's journal"]
        return remaining


_agents: dict[str, HostAgentProcess] = {}


def answer_request(_state: object, key: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a request says, and say how far it is: the worker answers at once, and is asked again.

    :param key: of the request: one that is known was asked before.
    :param request: a `StopRequest` as JSON.
    :returns: a `WorkerAnswer` as JSON.
    """
    # Only a worker that is asked has loaded Airflow.
    from airflow.utils.net import get_hostname

    from ..dags.settings import CWLSettings

    for agent in _agents.values():
        agent.program.poll()  # one that nobody asked for again is not to stay as a zombie
    if key not in _agents:
        _agents[key] = HostAgentProcess.start(StopRequest.from_json(request), CWLSettings.read({}).places.to_json())
        forget_old_requests()
    host = get_hostname()  # type: ignore[no-untyped-call]
    return WorkerAnswer(host, _agents[key].read_remaining()).to_json()


def forget_old_requests() -> None:
    """Forget all requests but the last ones."""
    for old in list(_agents)[:-REMEMBERED_REQUESTS]:
        _agents.pop(old).output.close()
