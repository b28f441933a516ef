"""Those whom a host meets: each with its own ways to ask the host's services, and to run commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api import API, SERVER, curl

#: What a service answers to whom it refuses; 0 is a service that is not even reached.
REFUSED = (0, 401, 403)
#: Asks an HTTP server from a container that has nothing but bash. Its arguments: address, port, request.
ASK = r"""
exec 3<>"/dev/tcp/$0/$1" && printf %s "$2" >&3 && read -r _ status _ <&3 && cat <&3 && printf '\n%s' "$status"
"""


@dataclass(frozen=True)
class Caller:
    """Somebody who asks over HTTP, with what a request needs, or on the host."""

    host: Any
    #: Name and password of a user of Airflow.
    login: str | None = None
    #: Makes the token that goes along, of the body of a request.
    sign: Callable[[dict[str, Any]], str] | None = None
    #: Runs a command for this one, where there is a shell.
    shell: Callable[[str], Any] | None = None
    #: Whether the shell has curl, and the host's loopback.
    on_the_host: bool = True
    #: The token of a login, for Airflow's and the CWL API; of a shell on the host only.
    token: str | None = None

    def ask(self, method: str, url: str, *arguments: str, body: Any = None) -> tuple[int, str]:
        """Return status and answer of a request.

        :param arguments: for curl.
        :param body: what becomes JSON.
        """
        if self.shell and not self.on_the_host:
            return self._from_container(method, url)
        bearer = None
        if self.sign:
            signed = self.sign(body if isinstance(body, dict) else {})
            if isinstance(body, dict) and url.startswith(API) and url.endswith("/dag_runs"):
                body = body | {"token": signed}
            else:
                bearer = signed
        text = None if body is None else json.dumps(body)
        if self.shell:
            command = ["curl", "--silent", "--max-time", "60", "--request", method, "--write-out", "\n%{http_code}"]
            if self.token and url.startswith((API, SERVER)):
                command += ["--header", f"Authorization: Bearer {self.token}"]
            if text is not None:
                command += ["--header", "Content-Type: application/json", "--data", text]
            answer, _, status = self.shell(shlex.join([*command, *arguments, url])).stdout.rpartition("\n")
            return int(status), answer
        return curl(self.host, url, "--request", method, *arguments, user=self.login, bearer=bearer, body=text)

    def connects(self, port: int) -> bool:
        """Tell whether a port of the host is open to this one, from outside unless there is a shell on the host."""
        address = "127.0.0.1" if self.shell and self.on_the_host else address_of(self.host)
        command = f"timeout 2 bash -c '</dev/tcp/{address}/{port}'"
        return bool((self.shell or self.host.run)(command).rc == 0)

    def _from_container(self, method: str, url: str) -> tuple[int, str]:
        assert self.shell
        address, _, path = url.removeprefix("http://127.0.0.1:").partition("/")
        request = f"{method} /{path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n"
        command = ["timeout", "1", "bash", "-c", ASK, address_of(self.host), address, request]
        answer, _, status = self.shell(shlex.join(command)).stdout.rpartition("\n")
        return int(status or 0), answer


def address_of(host: Any) -> str:
    """Return the address at which others reach a host."""
    return str(host.check_output("hostname --all-ip-addresses").split()[0])
