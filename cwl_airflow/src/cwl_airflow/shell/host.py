"""The host as its commands see it: where Airflow is and what runs may read, as its administrator or as oneself.

Who may read the administrator's login is the administrator. Everybody else is who the kernel says: the CWL API listens
on a Unix socket, which gives who connects a token for Airflow (`cwl_airflow.api.shell_logins`). It is kept nowhere.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ..configuration import FOLDERS, OWN_DAGS_ONLY, read_administrator, read_option, read_option_if_set
from ..gate import Places
from ..rest import LOCAL_API, PAUSE, AirflowClient, NotFound, RestError, check_answer, server_url

#: Where the CWL API listens. The environment's ``CWL_AIRFLOW_LOGIN`` names another socket.
SOCKET = "/run/airflow-cwl-api/login.sock"
#: For how long its answer may take, in seconds.
TIMEOUT = 60
#: For how long the CWL API may be away while a run goes on, in seconds.
AWAY = 120
#: What of the CWL API stops a run, and for how long a connection and the answer may take.
STOPPING, STOPPING_TIMEOUT = "/api/experimental/dags/clean_dag_run/dag_runs", (10, 600)


class NoLogin(Exception):
    """Who asks is not known to the host; the message says why."""


class Refused(NoLogin):
    """The host gives this person no login."""


@dataclass(frozen=True)
class Host:
    """What a command has to know of the host."""

    #: Asks Airflow.
    client: AirflowClient
    #: Airflow's name of who asks.
    user: str
    #: Of Airflow's pages.
    pages: str
    #: What runs may read and write.
    places: Places
    #: Options of cwltool by name.
    options: Mapping[str, Any]
    #: URL of the CWL API.
    api: str
    #: Whether it is somebody's own shell: what the runs may not read is put where they may.
    own_shell: bool
    #: What must stay free on the disk of the inputs, in MiB.
    min_free: float = 0
    #: Whether all hosts of the site have the same DAG files.
    shares_dags: bool = True

    def check_dags_are_shared(self) -> None:
        """Refuse to write DAG files that the other hosts would not have.

        :raises ValueError: says who adds DAGs.
        """
        if not self.shares_dags:
            raise ValueError(OWN_DAGS_ONLY)


def find_host(url: str | None) -> Host:
    """Return the host, as seen by who runs this.

    :param url: of Airflow's api-server; none for the one that this host is set up to ask.
    :raises NoLogin: who asks is not known.
    """
    try:
        user, password = read_administrator()
    except (FileNotFoundError, PermissionError) as error:
        try:
            return _own_shell(ask_login(), url)
        except FileNotFoundError:
            raise NoLogin(
                f"{error.filename} cannot be read: {error.strerror}. Is this a host of CWL-Airflow?"
            ) from error
    dags = Path(read_option("core", "dags_folder"))
    folders = {"dags_folder": dags, **{name: Path(read_option("cwl", name)) for name in FOLDERS}}
    places = Places.of(dags.parent, folders, lambda name: read_option_if_set("cwl", name))
    javascript = read_option_if_set("cwl", "javascript_socket")
    url = url or server_url(read_option_if_set("core", "execution_api_server_url"))
    pages = read_option_if_set("api", "base_url") or url
    options = {"javascript_socket": javascript} if javascript else {}
    shares_dags = (read_option_if_set("cwl", "shares_dags") or "").lower() != "false"
    client = AirflowClient(url, user, password)
    return Host(client, user, pages.rstrip("/"), places, options, LOCAL_API, False, shares_dags=shares_dags)


def _own_shell(login: Mapping[str, Any], url: str | None) -> Host:
    client = ShellClient(url or login["url"], login["token"])
    places = Places.from_json(login["places"])
    if not os.access(places.inputs, os.W_OK):
        raise NoLogin(
            f"{places.inputs} is not open to this shell yet, as new members of its group have to log in anew."
        )
    known = {name: login[name] for name in ("min_free", "shares_dags") if name in login}
    return Host(client, login["user"], login["pages"], places, login["options"], login["api"], True, **known)


class ShellClient(AirflowClient):
    """Airflow's REST API, as the user that the kernel says one is."""

    def __init__(self, url: str, token: str) -> None:
        """Take where it is.

        :param url: of the api-server.
        :param token: the first one.
        """
        super().__init__(url, "", "")
        self._token = token

    def _log_in(self) -> None:
        late = time.monotonic() + AWAY
        while True:  # the service may be about to start again
            try:
                self._token = ask_login()["token"]
                return
            except (NoLogin, FileNotFoundError) as error:
                if time.monotonic() > late or isinstance(error, Refused):
                    raise RestError(str(error)) from error
            time.sleep(PAUSE)

    def stop_run(self, api: str, dag_id: str, run_id: str) -> bool:
        """Stop a run and remove it, and return whether there was one.

        :param api: URL of the CWL API, which does it.
        :raises RestError: it may not be stopped, or something of it is still there.
        """
        try:
            self.get_run_state(dag_id, run_id)
        except NotFound:
            return False
        conf = {"remove_dag_id": dag_id, "remove_run_id": run_id}
        body = {"run_id": f"stop-{uuid.uuid4()}", "conf": conf}
        try:
            check_answer(requests.post(f"{api}{STOPPING}", json=body, auth=self._authorize, timeout=STOPPING_TIMEOUT))
        except requests.RequestException as error:
            raise RestError(f"The CWL API does not answer: {error}") from error
        return True


def login_socket() -> str:
    """Return the path of the socket on which the CWL API gives logins."""
    return os.environ.get("CWL_AIRFLOW_LOGIN", SOCKET)


def ask_login() -> dict[str, Any]:
    """Return the login of who runs this, as `cwl_airflow.api.shell_logins` gives it.

    :raises NoLogin: there is none for this person; the message is the host's.
    :raises FileNotFoundError: the host gives none.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(login_socket())
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.read())
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise NoLogin(f"The CWL API of this host gives no login: {error}. Does airflow-cwl-api run?") from error
    if "refused" in answer:
        raise Refused(str(answer["refused"]))
    login: dict[str, Any] = answer
    return login
