"""What is asked for over HTTP, of whom, and how its text is read."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from cwl_airflow.gate import Refused
from cwl_airflow.gate.fetching import ANY, check_url, fetch_into, fetch_text, url_exists
from gates import PROJECT

#: A public address, which leads to the loopback here.
PUBLIC = "93.184.215.14"
PREFLIGHT = PROJECT / "roles/cwl_airflow/tasks/preflight.yml"
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """A server of the test's own on this host's loopback, which also notes what a proxy is asked."""

    def __init__(self, answer: Answer, address: str = "127.0.0.1") -> None:
        """Start it."""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.asked.append((self.command, self.path, headers))
                answer(self)

            do_HEAD = do_CONNECT = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        self.host = f"[{address}]:{self.server_port}" if ":" in address else f"{address}:{self.server_port}"

    def headers(self) -> list[dict[str, str]]:
        """Return the headers of each request."""
        return [headers for _, _, headers in self.asked]


def answering(text: bytes = b"", status: int = 200, **headers: str) -> Answer:
    """Return an answer; in the names of its headers, ``_`` is ``-``."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(text)

    return answer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return what starts servers."""
    started: list[Server] = []

    def start(answer: Answer, **more: Any) -> Server:
        started.append(Server(answer, **more))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let names of example.org have a public address, which leads to the loopback; return what is looked up."""
    names: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **more: Any) -> Any:
        names.append(host)
        if str(host).endswith("example.org"):
            return real(PUBLIC, *arguments, **more)
        return real("127.0.0.1" if host == PUBLIC else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_credentials_of_a_netrc_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server], status: int
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    there = serve(answering(b"text"))
    here = serve(answering(b"", status, Location=f"http://{there.host}/x"))
    hosts = (here.host, there.host)
    target = BytesIO()
    fetch_into(f"http://{here.host}/x", hosts, "Job", target)
    assert target.getvalue() == b"text"
    assert fetch_text(f"http://{here.host}/x", hosts, "Job") == "text"
    assert url_exists(f"http://{here.host}/x", hosts, "Job")
    asked = here.headers() + there.headers()
    assert len(asked) == 6
    assert not [headers for headers in asked if "authorization" in headers]


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
@pytest.mark.parametrize("listed", [True, False])
def test_credentials_are_for_one_host(
    looked_up: list[str], serve: Callable[..., Server], name: str, listed: bool
) -> None:
    there = serve(answering(b"text"))

    def to_the_other(request: BaseHTTPRequestHandler) -> None:
        where = "/y" if request.path == "/x" else f"http://{there.host}/z"
        answering(b"", 302, Location=where)(request)

    here = serve(to_the_other)
    host = here.host if listed else f"files.example.org:{here.server_port}"
    hosts = (here.host, there.host) if listed else (ANY, there.host)
    assert fetch_text(f"http://{host}/x", hosts, "Job", {name: "Bearer token"}) == "text"
    assert [headers.get("authorization") for headers in here.headers()] == ["Bearer token"] * 2
    assert [headers.get("authorization") for headers in there.headers()] == [None]


def test_a_proxy_looks_up_no_host_that_is_not_listed(
    monkeypatch: pytest.MonkeyPatch, looked_up: list[str], serve: Callable[..., Server]
) -> None:
    proxy = serve(answering(b"text"))
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    url = "http://files.example.org:8080/x"
    for ask in (fetch_text, url_exists):
        with pytest.raises(Refused, match=r"'files\.example\.org' to cwl_airflow_fetch_hosts"):
            ask(url, (ANY,), "Document")
    with pytest.raises(Refused, match="cwl_airflow_fetch_hosts"):
        fetch_into(url, (ANY,), "Document", BytesIO())
    assert (proxy.asked, looked_up) == ([], [])


def test_a_proxy_is_asked_for_a_listed_host_by_name(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    proxy = serve(answering(b"text"))
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    for host in ("files.example.org", "files.example.org:8080"):
        assert fetch_text(f"http://{host}/x", ("files.example.org", ANY), "Document") == "text"
    assert [(path, headers["host"]) for _, path, headers in proxy.asked] == [
        ("http://files.example.org/x", "files.example.org"),
        ("http://files.example.org:8080/x", "files.example.org:8080"),
    ]


def test_a_proxy_looks_up_no_host_that_a_redirect_leads_to(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Server]
) -> None:
    proxy = serve(answering(b"", 302, Location="http://other.example.org/x"))
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    with pytest.raises(Refused, match=r"'other\.example\.org' to cwl_airflow_fetch_hosts"):
        fetch_text("http://files.example.org/x", ("files.example.org", ANY), "Document")
    assert [path for _, path, _ in proxy.asked] == ["http://files.example.org/x"]


def test_a_proxy_connects_to_the_checked_address_for_https(
    monkeypatch: pytest.MonkeyPatch, looked_up: list[str], serve: Callable[..., Server]
) -> None:
    proxy = serve(answering(b"", 403))
    monkeypatch.setenv("https_proxy", f"http://{proxy.host}")
    with pytest.raises(requests.RequestException):
        fetch_text("https://files.example.org/x", (ANY,), "Document")
    assert [(command, path) for command, path, _ in proxy.asked] == [("CONNECT", f"{PUBLIC}:443")]


def test_a_host_for_which_no_proxy_is_used_is_asked_itself(
    monkeypatch: pytest.MonkeyPatch, looked_up: list[str], serve: Callable[..., Server]
) -> None:
    server, proxy = serve(answering(b"text")), serve(answering(b"of the proxy"))
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    monkeypatch.setenv("no_proxy", "files.example.org")
    assert fetch_text(f"http://files.example.org:{server.server_port}/x", (ANY,), "Document") == "text"
    assert proxy.asked == []


LISTED = [
    ("[2001:db8::1]", "http://[2001:db8::1]/x", True),
    ("[2001:db8::1]", "https://[2001:DB8::1]:8080/x", True),
    ("[2001:DB8::1]:8080", "http://[2001:db8::1]:8080/x", True),
    ("[2001:db8::1]:443", "https://[2001:db8::1]/x", True),
    ("[2001:db8::1]:8080", "http://[2001:db8::1]/x", False),
    ("[2001:db8::1:80]", "http://[2001:db8::1]/x", False),
    ("2001:db8::1:80", "http://[2001:db8::1]/x", False),
    ("[2001:db8::2]", "http://[2001:db8::1]/x", False),
    ("files.example.org.", "http://files.example.org/x", True),
    ("files.example.org.:8080", "http://files.example.org:8080/x", True),
    ("files.example.org.:8080", "http://files.example.org.:8080/x", True),
    ("files.example.org", "http://files.example.org./x", True),
    ("files.example.org:8080", "http://files.example.org.:8080/x", True),
    ("files.example.org.:8080", "http://files.example.org/x", False),
    ("files.example.org:80", "http://files.example.org:0/x", False),
    ("files.example.org:80", "http://files.example.org:port/x", False),
    (".", "http://./x", False),
    ("files.example.org", "http://filesXexample.org/x", False),
]


@pytest.mark.parametrize(("listed", "url", "is_listed"), LISTED)
def test_a_host_is_listed_by_name_or_address(listed: str, url: str, is_listed: bool) -> None:
    if is_listed:
        check_url(url, (listed,), "Job")
    else:
        with pytest.raises(Refused):
            check_url(url, (listed,), "Job")


@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("[2001:db8::1]", True),
        ("[2001:db8::1]:8080", True),
        ("files.example.org.", True),
        ("files.example.org.:8080", True),
        ("2001:db8::1", False),
        ("[files.example.org]", False),
        ("https://files.example.org/", False),
    ],
)
def test_the_roles_accept_what_can_be_listed(host: str, accepted: bool) -> None:
    task = next(each for each in yaml.safe_load(PREFLIGHT.read_text()) if each["name"] == "Refuse hosts that are none")
    pattern = re.search(r"match\('(.*?)'\)", task["ansible.builtin.assert"]["that"])
    assert pattern
    assert bool(re.match(pattern[1], host)) is accepted


def test_a_refusal_names_an_address_of_ipv6_as_it_can_be_listed() -> None:
    with pytest.raises(Refused, match=r"add '\[2001:db8::1\]' to cwl_airflow_fetch_hosts"):
        check_url("http://[2001:db8::1]:8080/x", (), "Job")


def test_a_listed_address_of_ipv6_is_asked(serve: Callable[..., Server]) -> None:
    try:
        server = serve(answering(b"text"), address="::1")
    except OSError:
        pytest.skip("this host has no IPv6")
    for hosts in (("[::1]",), (server.host,)):
        assert fetch_text(f"http://{server.host}/x", hosts, "Job") == "text"
    assert [headers["host"] for headers in server.headers()] == [server.host] * 2


@pytest.mark.parametrize("user", ["", "someone:secret@"])
def test_a_host_that_is_not_listed_is_asked_by_its_name_and_port(
    looked_up: list[str], serve: Callable[..., Server], user: str
) -> None:
    server = serve(answering(b"text"))
    host = f"files.example.org:{server.server_port}"
    assert fetch_text(f"http://{user}{host}/x", (ANY,), "Document") == "text"
    assert [headers["host"] for headers in server.headers()] == [host]
    assert looked_up == ["files.example.org", PUBLIC]


def test_the_port_of_the_scheme_is_not_named(
    monkeypatch: pytest.MonkeyPatch, looked_up: list[str], serve: Callable[..., Server]
) -> None:
    server = serve(answering(b"text"))
    known = socket.getaddrinfo

    def at_the_server(host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
        return known(host, server.server_port if host == PUBLIC else port, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", at_the_server)
    for host in ("files.example.org", "files.example.org:80"):
        assert fetch_text(f"http://{host}/x", (ANY,), "Document") == "text"
    assert [headers["host"] for headers in server.headers()] == ["files.example.org"] * 2


def test_a_redirect_to_a_listed_host_names_that_host(looked_up: list[str], serve: Callable[..., Server]) -> None:
    there = serve(answering(b"text"))
    here = serve(answering(b"", 302, Location=f"http://{there.host}/x"))
    assert fetch_text(f"http://files.example.org:{here.server_port}/x", (ANY, there.host), "Document") == "text"
    assert [headers["host"] for headers in there.headers()] == [there.host]


@pytest.mark.parametrize(
    ("kind", "text", "read"),
    [
        ("text/plain", "Zoë", "Zoë".encode()),
        ("text/html; version=2", "Zoë", "Zoë".encode()),
        ("", "Zoë", "Zoë".encode()),
        ("text/plain; charset=", "Zoë", "Zoë".encode()),
        ("text/plain; charset=utf-8", "Zoë", "Zoë".encode()),
        ('text/plain; CharSet="ISO-8859-1"', "Zoë", "Zoë".encode("latin-1")),
        ("application/json;charset=utf-16", "Zoë", "Zoë".encode("utf-16")),
        ("text/plain", "Zo\ufffd", "Zoë".encode("latin-1")),
        ("text/plain; charset=ascii", "Zo\ufffd\ufffd", "Zoë".encode()),
    ],
)
def test_text_is_in_utf_8_unless_its_server_says_else(
    serve: Callable[..., Server], kind: str, text: str, read: bytes
) -> None:
    server = serve(answering(read, **({"Content_Type": kind} if kind else {})))
    assert fetch_text(f"http://{server.host}/x", (server.host,), "Document") == text


@pytest.mark.parametrize("charset", ["none-such", "hex", "rot13", "zlib", "idna", "undefined"])
def test_text_in_a_charset_that_is_none_is_refused(serve: Callable[..., Server], charset: str) -> None:
    server = serve(answering(b"text", Content_Type=f"text/plain; charset={charset}"))
    with pytest.raises(Refused, match=f"/x is sent in charset '{charset}', which is not known"):
        fetch_text(f"http://{server.host}/x", (server.host,), "Document")
