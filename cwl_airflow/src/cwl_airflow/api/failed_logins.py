"""How often an address may give a wrong password: each may be asked of a directory, which locks people out in the end.

Source: https://limits.readthedocs.io/en/stable/quickstart.html
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from .problems import Problem

#: As many as nginx lets through to Airflow's pages unless the site says otherwise.
MOST = RateLimitItemPerMinute(30)


class FailedLogins:
    """The logins that failed in the last minute, by who tried."""

    def __init__(self) -> None:
        """Begin with none."""
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, client: str) -> None:
        """Refuse who failed too often.

        :raises Problem: 429.
        """
        if not self._limiter.test(MOST, client):
            raise Problem(429, "Too many logins failed: try again in a minute")

    def note(self, client: str) -> None:
        """Count one."""
        self._limiter.hit(MOST, client)


def client_of(request: Request, user: str) -> str:
    """Return who asks: an address, or network of IPv6; what comes from this host itself is of whom its proxy names.

    :param user: whose login it is; without a proxy the users of this host have one address in common.
    """
    peer = request.client.host if request.client else ""
    named = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        if not ip_address(peer).is_loopback:
            return _network(peer)
        return _network(named) if named else f"{peer} {user}"
    except ValueError:
        return peer


def _network(address: str) -> str:
    """Return what somebody has of addresses: one of IPv4, a network of IPv6 (RFC 6177)."""
    return str(ip_network((address, 64 if ip_address(address).version == 6 else 32), strict=False))
