"""What comes over HTTP: from which hosts, how much, and for how long.

The address that a name leads to is looked up once and is what is connected to, at each redirect again; one of this
host, this network or no network is refused unless the host is listed.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from email.message import Message
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter

from .refused import Refused

T = TypeVar("T")

#: Any host with a public address.
ANY = "*"
#: Seconds to connect, and between two pieces.
TIMEOUT = (10, 60)
#: Bytes and seconds: a document or a job's file; an input.
TEXT = (16 * 2**20, 60.0)
DATA = (64 * 2**30, 4 * 3600.0)
PIECE = 2**16
_PORTS = {"http": 80, "https": 443}
_NAT64 = bytes.fromhex("0064ff9b0000000000000000")


def check_url(url: str, hosts: Collection[str], of: str) -> None:
    """Refuse a URL of a host that is not listed.

    :param hosts: names or addresses, those of IPv6 in brackets, perhaps with ``:port``; `ANY` for any.
    :param of: what names the URL, for the message.
    :raises Refused: names the host and the setting.
    """
    try:
        host = urlsplit(url).hostname
    except ValueError as error:
        raise Refused(f"{of}: {url} is no URL: {error}.") from error
    if not host:
        raise Refused(f"{of}: {url} names no host.")
    if not (_is_listed(url, hosts) or ANY in hosts):
        raise Refused(
            f"{of}: {url} may not be fetched: add '{_in_brackets(host)}' to cwl_airflow_fetch_hosts to allow it."
        )


def fetch_text(url: str, hosts: Collection[str], of: str, headers: dict[str, str] | None = None) -> str:
    """Return the text that is at a URL: UTF-8, unless its server says what else; what does not decode is replaced.

    :raises Refused: it may not be fetched, is too large, takes too long or is in a charset that is not known.
    :raises requests.RequestException: it could not be fetched.
    """
    with _open_answer(url, hosts, of, headers) as answer:
        text = b"".join(_bounded_pieces(answer, *TEXT, of=f"{of}: {url}"))
        return _decode_text(text, answer.headers.get("Content-Type", ""), f"{of}: {url}")


def fetch_into(url: str, hosts: Collection[str], of: str, target: IO[bytes]) -> None:
    """Write what is at a URL to a file.

    :raises Refused: it may not be fetched, is too large or takes too long.
    :raises requests.RequestException: it could not be fetched.
    """
    with _open_answer(url, hosts, of) as answer:
        for piece in _bounded_pieces(answer, *DATA, of=f"{of}: {url}"):
            target.write(piece)


def url_exists(url: str, hosts: Collection[str], of: str) -> bool:
    """Tell whether there is something at a URL.

    :raises Refused: it may not be fetched.
    """
    try:
        with _named_connection_errors(url, of), _guarded_session(hosts, of) as session:
            return _in_time(lambda: session.head(url, allow_redirects=True, timeout=TIMEOUT), f"{of}: {url}").ok
    except requests.RequestException:
        return False


@contextmanager
def _open_answer(
    url: str, hosts: Collection[str], of: str, headers: dict[str, str] | None = None
) -> Iterator[requests.Response]:
    with _named_connection_errors(url, of), _guarded_session(hosts, of) as session:

        def ask() -> requests.Response:
            return session.get(url, headers=headers, stream=True, timeout=TIMEOUT)

        with _in_time(ask, f"{of}: {url}") as answer:
            answer.raise_for_status()
            yield answer


def _in_time(ask: Callable[[], requests.Response], of: str) -> requests.Response:
    """Return an answer whose head is there soon: a timeout would start anew with each byte of it, and redirect."""
    try:
        return in_background(ask).result(TEXT[1])
    except TimeoutError as error:
        raise Refused(f"{of} did not answer within {TEXT[1]:.0f} s.") from error


def in_background(work: Callable[[], T]) -> Future[T]:
    """Do something in a thread that nobody has to wait for, not even the end of the process."""
    result: Future[T] = Future()

    def do() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return result


@contextmanager
def _named_connection_errors(url: str, of: str) -> Iterator[None]:
    """Say which setting would allow an address that is not public."""
    try:
        yield
    except InvalidIPAddress as error:
        raise Refused(
            f"{of}: {url} may not be fetched: it leads to {error}, which is no public address. Add its host to "
            "cwl_airflow_fetch_hosts to allow it."
        ) from error


def _bounded_pieces(answer: requests.Response, most: int, seconds: float, of: str) -> Iterator[bytes]:
    got, end = 0, time.monotonic() + seconds
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Refused(f"{of} is sent compressed, which was not asked for.")
    # What is there, and not until a piece is full: a server may send a byte at a time.
    while piece := answer.raw.read1(PIECE):
        got += len(piece)
        if got > most:
            raise Refused(f"{of} has more than {most // 2**20} MiB.")
        if time.monotonic() > end:
            raise Refused(f"{of} took more than {seconds:.0f} s.")
        yield piece


def _decode_text(text: bytes, kind: str, of: str) -> str:
    """Return text as its ``Content-Type`` says. Not by `Response.encoding`, which takes ``text/*`` for ISO-8859-1.

    :raises Refused: the charset is none that is known, or none of text.
    """
    header = Message()
    header["Content-Type"] = kind
    charset = header.get_content_charset() or "utf-8"
    try:
        return text.decode(charset, "replace")
    except (LookupError, ValueError) as error:
        raise Refused(f"{of} is sent in charset '{charset}', which is not known.") from error


def _guarded_session(hosts: Collection[str], of: str) -> requests.Session:
    session = _Session()
    session.auth = _as_it_is  # and not what a ~/.netrc says
    session.max_redirects = 10
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http", "https"):
        session.mount(f"{scheme}://", _Adapter(hosts, of, scheme == "https"))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Session(requests.Session):
    """Adds nobody's credentials to a redirected request."""

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Drop the credentials of another host, and take none from a ~/.netrc."""
        headers = prepared_request.headers
        if self.should_strip_auth(response.request.url, prepared_request.url):  # type: ignore[no-untyped-call]
            # IPFilterAdapter leaves a dict that tells letters apart.
            for name in [each for each in headers if each.lower() == "authorization"]:
                del headers[name]


def _is_listed(url: str, hosts: Collection[str]) -> bool:
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    try:
        port = _port_of_url(url)
    except ValueError:
        return False
    # Without brackets, a port would read as the end of an address.
    names = {host, f"[{host}]", f"[{host}]:{port}"} if ":" in host else {host, f"{host}:{port}"}
    return bool(host) and not names.isdisjoint(_without_dot(each.lower()) for each in hosts)


def _without_dot(host: str) -> str:
    """Return a host, perhaps with ``:port``, without the dot that a full name may end with."""
    return re.sub(r"\.+(?=(:\d+)?\Z)", "", host)


def _port_of_url(url: str) -> int:
    """Return the port of a URL.

    :raises ValueError: it is no number, or too large.
    """
    parts = urlsplit(url)
    return _PORTS.get(parts.scheme, 80) if parts.port is None else parts.port


def _in_brackets(host: str) -> str:
    """Return a host as it stands in a URL and in settings: an address of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _host_header(url: str) -> str:
    """Return a URL's host, and its port if it is not the scheme's.

    :raises ValueError: its port is none.
    """
    parts = urlsplit(url)
    host = _in_brackets(parts.hostname or "")
    return host if _port_of_url(url) == _PORTS.get(parts.scheme) else f"{host}:{_port_of_url(url)}"


class _Adapter(IPFilterAdapter):  # type: ignore[misc]
    """Asks at each request, redirected ones as well, whether its host may be connected to."""

    def __init__(self, hosts: Collection[str], of: str, https: bool) -> None:
        super().__init__(is_https_proto=https)
        self._hosts = hosts
        self._of = of

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        """Return a connection for a request.

        :raises Refused: its host is not listed, and may not be connected to or would be looked up by a proxy.
        :raises InvalidIPAddress: its host is not listed, and its address is not public.
        """
        check_url(request.url, self._hosts, self._of)
        # A proxy is given the whole URL, and not only a path, where it connects by itself.
        if not (_is_listed(request.url, self._hosts) or self.request_url(request, proxies).startswith("/")):
            # Nor by the address that was checked: a proxy sets Host to what the URL has (RFC 9112, 3.2.2).
            host = _in_brackets(urlsplit(request.url).hostname or "")
            raise Refused(
                f"{self._of}: {request.url} may not be fetched: which address a proxy connects to cannot be checked. "
                f"Add '{host}' to cwl_airflow_fetch_hosts to allow it, or use https."
            )
        return super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Return where to connect to: by name if it is listed, else to an address that was checked.

        :raises InvalidIPAddress: the address is not public.
        """
        # A redirected request still has that of the host before.
        request.headers.pop("Host", None)
        if _is_listed(request.url, self._hosts):
            return HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        request.headers["Host"] = _host_header(request.url)
        check_public(host["host"].strip("[]"))
        return host, pool


def check_public(address: str) -> None:
    """Refuse an address that is not of the Internet, also where it stands in one of IPv6.

    :raises InvalidIPAddress: it is none.
    """
    found = ipaddress.ip_address(address)
    # NAT64 (RFC 6052), IPv4-compatible (RFC 4291) and 6to4 (RFC 3056) lead to an address of IPv4.
    if isinstance(found, ipaddress.IPv6Address) and (
        found.ipv4_mapped or found.sixtofour or found.is_site_local or found.packed[:12] in (bytes(12), _NAT64)
    ):
        raise InvalidIPAddress(found)
    if not found.is_global or found.is_multicast:
        raise InvalidIPAddress(found)
    # Those of clouds that count as public.
    if found in (ipaddress.ip_address("168.63.129.16"), ipaddress.ip_address("192.0.0.192")):
        raise InvalidIPAddress(found)
