"""Logins for members of a group of this host: who connects to a Unix socket gets a token for Airflow.

Who that is says the kernel (``SO_PEERCRED`` in unix(7)), and nothing is read from the socket.
Source: https://man7.org/linux/man-pages/man7/unix.7.html
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import logging
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from airflow.configuration import conf

from ..dags.settings import CWLSettings
from ..rest import server_url
from .database import end_session
from .users import NoShellUser, Users

log = logging.getLogger(__name__)

#: For how long a token is good, in seconds. Another one is had by asking again.
LIFETIME = 3600
#: How much of a person's name Airflow gets, in characters.
LONGEST_NAME = 64


@asynccontextmanager
async def shell_logins(users: Users, api: str) -> AsyncIterator[None]:
    """Give logins meanwhile, if ``[cwl] shell_socket`` says where.

    :param api: URL at which the CWL API is reached from this host.
    """
    path = conf.get("cwl", "shell_socket", fallback="")
    if not path:
        yield
        return

    async def give(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            uid = peer_uid(writer.get_extra_info("socket"))
            answer = await asyncio.to_thread(answer_for, users, uid) | {"api": api}
            writer.write(json.dumps(answer).encode())
            await writer.drain()
        except OSError:  # it has gone
            log.debug("A shell asked and went away", exc_info=True)
        finally:
            writer.close()

    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = await asyncio.start_unix_server(give, path)
    try:
        os.chmod(path, 0o666)  # nosec B103  # whoever asks is told no more than who he is
        async with server:
            yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def peer_uid(connection: Any) -> int:
    """Return the user id of who connected, as it was then."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def answer_for(users: Users, uid: int) -> dict[str, Any]:
    """Return the login of a user of this host, or why there is none.

    :param uid: the user's id.
    """
    role, group = conf.get("cwl", "shell_role", fallback="User"), conf.get("cwl", "shell_group", fallback="cwl-data")
    try:
        account = pwd.getpwuid(uid)
        if uid in (0, os.geteuid()):
            raise NoShellUser(f"{account.pw_name} is no person: the administrator's commands run with sudo.")
        if not is_member(account, group):
            raise NoShellUser(f"{account.pw_name} is not in the group {group}: ask who keeps this host.")
        token = users.shell_token(account.pw_name, account.pw_gecos.partition(",")[0][:LONGEST_NAME], role, LIFETIME)
    except KeyError:
        return {"refused": f"This host does not know the user with the id {uid}."}
    except NoShellUser as error:
        log.warning("No login for the shell of user id %s: %s", uid, error)
        return {"refused": str(error)}
    except Exception:  # the shell is told, and the log says what it was
        log.exception("No login for the shell of user id %s", uid)
        return {"refused": "An unexpected error occurred: the log of airflow-cwl-api says which."}
    finally:
        end_session()
    log.info("Login of %r by shell", account.pw_name)
    settings = CWLSettings.read({})
    url = server_url(conf.get("core", "execution_api_server_url", fallback=None))
    return {
        "user": account.pw_name,
        "token": token,
        "url": url,
        "pages": (conf.get("api", "base_url", fallback="") or url).rstrip("/"),
        "places": settings.places.to_json(),
        "options": settings.cwltool,
        "min_free": settings.min_free,
        "shares_dags": settings.shares_dags,
    }


def is_member(account: pwd.struct_passwd, group: str) -> bool:
    """Tell whether a user of this host is in a group."""
    try:
        wanted = grp.getgrnam(group).gr_gid
    except KeyError:
        return False
    return wanted in os.getgrouplist(account.pw_name, account.pw_gid)
