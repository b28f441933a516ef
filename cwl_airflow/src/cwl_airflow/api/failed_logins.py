"""How often an address may give a wrong password: each may be asked of a directory, which locks people out in the end.

Source: https://limits.readthedocs.io/en/stable/quickstart.html
"""

from __future__ import annotations

from ipaddress import ip_address

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from .problems import Problem

#: As many as nginx lets through to Airflow's pages unless the site says otherwise.
MOST = RateLimitItemPerMinute(30)


class FailedLogins:
    """The logins that failed in the last minute, by address."""

    def __init__(self) -> None:
        """Begin with none."""
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, address: str) -> None:
        """Refuse an address from which too many failed.

        :raises Problem: 429.
        """
        if not self._limiter.test(MOST, address):
            raise Problem(429, "Too many logins failed: try again in a minute")

    def note(self, address: str) -> None:
        """Count one."""
        self._limiter.hit(MOST, address)


def client_address(request: Request) -> str:
    """Return who asks; of what comes from this host itself, whom its proxy names."""
    peer = request.client.host if request.client else ""
    named = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        return str(ip_address(named)) if ip_address(peer).is_loopback else peer
    except ValueError:
        return peer
