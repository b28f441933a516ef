"""End a worker that is cut off from its site, before a scheduler gives its tasks to another host.

A scheduler takes a task for lost whose heartbeats do not arrive (``[scheduler] task_instance_heartbeat_timeout``), and
cannot end it on a host that it does not reach: the step would run twice at a time. So the host does it itself. That the
API server alone is away is no reason: then no scheduler takes tasks for lost (`heartbeats`), and steps go on.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Collection

from airflow.configuration import conf

from .heartbeats import Outages

log = logging.getLogger(__name__)

#: Seconds between two looks, and for how long the other hosts may take to answer.
PAUSE, TIMEOUT = 5.0, 2.0
#: The part of the time after which a task is lost that a host may be cut off: its steps need some to end.
PART = 0.7
#: An echo request (RFC 792); the kernel fills in checksum and identifier.
ECHO = struct.pack("!BBHHH", 8, 0, 0, 0, 1)


class Fence:
    """Knows since when this host has been cut off, and ends its worker."""

    def __init__(self, hosts: Collection[str], server: str, seconds: float) -> None:
        """Take whom to look for.

        :param hosts: addresses of the other hosts of the site (IPv4).
        :param server: URL of the API that tasks use.
        :param seconds: for how long this host may be cut off.
        """
        self._hosts = set(hosts)
        self._outages = Outages(server)
        self._seconds = seconds

    @classmethod
    def of_site(cls) -> Fence:
        """Return that of a site of several hosts."""
        hosts = conf.get_mandatory_value("cwl", "other_hosts").split()
        seconds = PART * conf.getint("scheduler", "task_instance_heartbeat_timeout")
        return cls(hosts, conf.get_mandatory_value("core", "execution_api_server_url"), seconds)

    def watch(self) -> None:
        """Look from now on, in a thread."""
        threading.Thread(target=self._watch, name="fence", daemon=True).start()

    def is_cut_off(self) -> bool:
        """Tell whether neither the API server answers nor, with this one, more than half of the hosts are there."""
        if self._outages.is_server_there():
            return False
        return 2 * (1 + len(find_answering(self._hosts))) <= 1 + len(self._hosts)

    def _watch(self) -> None:
        heard = time.monotonic()
        while True:
            if not self.is_cut_off():
                heard = time.monotonic()
            elif time.monotonic() - heard > self._seconds:
                log.error("This host has been cut off from its site for %.0f s: its steps end", self._seconds)
                # As if the kernel had: tasks end with their worker, and nobody says that they have failed.
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(PAUSE)


def find_answering(hosts: Collection[str]) -> set[str]:
    """Return those of some hosts that answer an echo request.

    :param hosts: addresses (IPv4).
    """
    found: set[str] = set()
    deadline = time.monotonic() + TIMEOUT
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as echo:
            for host in hosts:
                try:
                    echo.sendto(ECHO, (host, 0))
                except OSError:  # no way there
                    continue
            while found < set(hosts) and (left := deadline - time.monotonic()) > 0:
                echo.settimeout(left)
                found.add(echo.recvfrom(1024)[1][0])
    except TimeoutError:
        pass  # the others do not answer
    except OSError as error:  # net.ipv4.ping_group_range leaves this user out
        log.warning("Other hosts cannot be asked whether they are there: %s", error)
    return found & set(hosts)
