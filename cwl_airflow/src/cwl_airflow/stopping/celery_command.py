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

from ..environment import environment

#: The name of the remote control command.
COMMAND = "cwl_stop"
#: How many requests are remembered.
REMEMBERED = 200


@dataclass(frozen=True)
class Work:
    """The program that does what a request says."""

    program: subprocess.Popen[bytes]
    output: IO[bytes]

    @classmethod
    def begin(cls, request: Mapping[str, Any]) -> Work:
        """Start it. Files and not pipes: the worker waits for nobody."""
        output = tempfile.TemporaryFile()  # noqa: SIM115  # read when the program has ended
        with tempfile.TemporaryFile() as text:
            text.write(json.dumps(request).encode())
            text.seek(0)
            command = [sys.executable, "-m", "cwl_airflow.stopping.host_agent"]
            return cls(subprocess.Popen(command, stdin=text, stdout=output, env=environment()), output)

    def left(self) -> list[str] | None:
        """Return what is still there when it has ended; none before."""
        status = self.program.poll()
        if status is None:
            return None
        try:
            self.output.seek(0)
            left: list[str] = json.load(self.output)
        except ValueError:
            return [f"whatever it is: looking for it ended with {status}, see the worker's journal"]
        return left


_works: dict[str, Work] = {}


def answer(_state: Any, key: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a request says, and say how far it is: the worker answers at once, and is asked again.

    :param key: of the request.
    :param request: what `host` is to do; without the folders of this host.
    :returns: ``host``, the worker's name as tasks note it, and ``left``: what is still there, none if it is not known
        yet.
    """
    from airflow.utils.net import get_hostname

    from ..dags.settings import CWLSettings

    for work in _works.values():
        work.program.poll()  # one that nobody asked for again is not to stay as a zombie
    if key not in _works:
        here = {"places": CWLSettings.read({}).places.to_json()}
        _works[key] = Work.begin({**request, "run": {**request["run"], **here}})
        for old in list(_works)[:-REMEMBERED]:
            _works.pop(old).output.close()
    return {"host": get_hostname(), "left": _works[key].left()}
