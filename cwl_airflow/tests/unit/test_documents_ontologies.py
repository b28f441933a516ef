"""The ontologies of documents: fetched once, kept, and no time-out at each reading."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cwl_airflow.documents import cache, ontologies
from cwl_airflow.documents import load as documents
from cwl_airflow.documents.formats import Ontologies, read_terms
from cwl_utils.file_formats import formatSubclassOf
from gates import places

EDAM = "http://edamontology.org/"
TURTLE = f"""\
@prefix e: <{EDAM}> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
e:bam rdfs:subClassOf e:binary, [ a owl:Restriction ] ; rdfs:label "BAM" .
e:binary owl:equivalentClass e:bytes .
"""
DOCUMENT = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: 'true'
inputs: {{reads: {{type: File, format: e:binary}}}}
outputs: []
$namespaces: {{e: "{prefix}"}}
$schemas: {schemas}
"""


class Server(ThreadingHTTPServer):
    """A server of the test's own that answers with an ontology, and counts."""

    def __init__(self) -> None:
        """Start it."""
        self.asked = 0
        self.status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                text = TURTLE.encode()
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.server_port}/terms.ttl"


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server with an ontology."""
    started = Server()
    yield started
    started.shutdown()
    started.server_close()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the URI of an ontology on a server that takes connections and never answers."""
    monkeypatch.setattr(ontologies, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/terms.ttl"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def _gate(folder: Path) -> Any:
    return places(folder, hosts=("127.0.0.1",)).gate("dag", folder / "run")


def _write(folder: Path, *schemas: str) -> Path:
    path = folder / "tool.cwl"
    path.write_text(DOCUMENT.format(prefix=EDAM, schemas=json.dumps(schemas)), encoding="utf-8")
    return path


def _is_binary(process: Any, what: str = "bam") -> bool:
    return formatSubclassOf(f"{EDAM}{what}", f"{EDAM}binary", process.formatgraph, set())


def _load(path: Path, kept: Path | None, validate: bool = False, **settings: Any) -> documents.LoadedDocument:
    return documents.load_document(str(path), _gate(path.parent), settings, validate=validate, folder=kept)


def test_it_is_fetched_once_and_tasks_ask_what_is_kept(tmp_path: Path, server: Server) -> None:
    path, kept = _write(tmp_path, server.uri), tmp_path / "kept"
    loaded = _load(path, kept, validate=True)
    assert loaded.ontologies == (server.uri,)
    assert server.asked == 0  # no reading waits for it
    ontologies.refresh_ontologies(loaded.ontologies, _gate(tmp_path), kept)
    assert server.asked == 1
    server.status = 500
    for _ in range(2):
        process = _load(path, kept).process
        assert _is_binary(process)
        assert _is_binary(process, "bytes")
        assert not _is_binary(process, "text")
    assert server.asked == 1


def test_a_document_with_ontologies_is_kept_like_any_other(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, kept = _write(tmp_path, server.uri), tmp_path / "kept"
    _load(path, kept, validate=True)

    def resolve(*_: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr(documents, "resolve_and_validate_document", resolve)
    assert _load(path, kept).process.tool["inputs"]
    assert server.asked == 0


def test_a_server_that_never_answers_is_asked_once(
    tmp_path: Path, silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, kept = _write(tmp_path, silent, silent.replace("terms", "more")), tmp_path / "kept"
    began = time.monotonic()
    named = _load(path, kept, validate=True).ontologies
    ontologies.refresh_ontologies(named, _gate(tmp_path), kept)
    assert f"Could not load extension schema {silent}: it could not be fetched and read within" in caplog.text
    # All of them together took that long, and no more.
    assert time.monotonic() - began < 5
    asked: list[Any] = []
    real = socket.create_connection
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("urllib3.util.connection.create_connection", lambda *a, **m: asked.append(a) or real(*a, **m))
        for _ in range(3):
            ontologies.refresh_ontologies(named, _gate(tmp_path), kept)
            assert not _is_binary(_load(path, kept).process)
    assert asked == []
    assert f"Formats are compared without {silent}: it could not be fetched and read within" in caplog.text


@pytest.mark.parametrize(
    ("status", "age", "asked"),
    [
        (500, 0, 1),
        (500, ontologies.RETRY - 60, 1),
        (500, ontologies.RETRY, 2),
        (500, -60, 2),  # the clock was wrong
        (200, ontologies.RETRY, 1),
        (200, ontologies.RENEW, 2),
    ],
)
def test_it_is_asked_for_again_after_a_time(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, status: int, age: float, asked: int
) -> None:
    server.status = status
    now = time.time()
    for moment in (now, now + age):
        monkeypatch.setattr(ontologies.time, "time", lambda moment=moment: moment)
        ontologies.refresh_ontologies([server.uri], _gate(tmp_path), tmp_path)
    assert server.asked == asked


def test_what_is_kept_holds_while_the_network_is_away(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = _gate(tmp_path)
    ontologies.refresh_ontologies([server.uri], gate, tmp_path)
    server.status = 500
    later = time.time() + ontologies.RENEW
    monkeypatch.setattr(ontologies.time, "time", lambda: later)
    ontologies.refresh_ontologies([server.uri], gate, tmp_path)
    assert server.asked == 2
    terms = ontologies.known_terms([server.uri], gate, tmp_path)
    assert (f"{EDAM}bam", "http://www.w3.org/2000/01/rdf-schema#subClassOf", f"{EDAM}binary") in terms


def test_processes_that_want_the_same_fetch_it_once(tmp_path: Path, server: Server) -> None:
    gate = _gate(tmp_path)
    threads = [
        threading.Thread(target=ontologies.refresh_ontologies, args=([server.uri], gate, tmp_path)) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == 1
    assert [file.suffix for file in tmp_path.iterdir()] == [".kept"]


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path, kept = _write(tmp_path, "terms.ttl"), tmp_path / "kept"
    (tmp_path / "terms.ttl").write_text(TURTLE.replace("e:bam", "e:other"), encoding="utf-8")
    assert not _is_binary(_load(path, kept, validate=True).process)
    (tmp_path / "terms.ttl").write_text(TURTLE, encoding="utf-8")
    assert _is_binary(_load(path, kept).process)
    head = next(line for file in kept.iterdir() if b'"asked"' in (line := file.read_bytes().partition(b"\n")[0]))
    assert json.loads(head)["texts"] == {(tmp_path / "terms.ttl").as_uri(): hashlib.sha256(TURTLE.encode()).hexdigest()}


def test_a_file_that_comes_later_is_read(tmp_path: Path) -> None:
    path, kept = _write(tmp_path, "terms.ttl"), tmp_path / "kept"
    loaded = _load(path, kept, validate=True)
    ontologies.refresh_ontologies(loaded.ontologies, _gate(tmp_path), kept)
    assert not _is_binary(_load(path, kept).process)
    (tmp_path / "terms.ttl").write_text(TURTLE, encoding="utf-8")
    assert _is_binary(_load(path, kept).process)


@pytest.mark.parametrize("uri", ["file:///dev/zero", "file:///dev/full", "file:///etc/passwd"])
def test_what_may_not_be_read_is_not(tmp_path: Path, uri: str) -> None:
    for _ in range(2):
        ontologies.refresh_ontologies([uri], _gate(tmp_path), tmp_path / "kept")
        assert ontologies.known_terms([uri], _gate(tmp_path), tmp_path / "kept") == []


def test_one_that_takes_long_to_parse_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ontologies, "TIMEOUT", 0.3)
    path, kept = _write(tmp_path, "terms.rdf"), tmp_path / "kept"
    inside = "<a/>" * 1500
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    (tmp_path / "terms.rdf").write_text(
        f'<rdf:RDF xmlns:rdf="{rdf}" xmlns="e:"><rdf:Description rdf:about="e:x">'
        f'<y rdf:parseType="Literal">{inside}</y></rdf:Description></rdf:RDF>',
        encoding="utf-8",
    )
    loaded = _load(path, kept, validate=True)
    ontologies.refresh_ontologies(loaded.ontologies, _gate(tmp_path), kept)
    assert "it could not be fetched and read within" in caplog.text


def test_a_full_disk_holds_no_document_up(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ontologies, "write_atomically", full)
    ontologies.refresh_ontologies([server.uri], _gate(tmp_path), tmp_path / "kept")
    assert "could not be kept" in caplog.text


@pytest.mark.full
def test_one_that_another_process_fetches_is_said_to_be_missing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache, "PATIENCE", 2.0)
    kept, uris = tmp_path / "kept", [f"{server.uri}?{number}" for number in range(10)]
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        for uri in uris:
            stack.enter_context(cache.alone(cache.entry_path(kept, _key(uri, tmp_path))))
        assert ontologies.known_terms(uris, _gate(tmp_path), kept) == []
    assert time.monotonic() - began < 15  # and not two seconds for each
    assert caplog.text.count("another process still fetches it") == 10


def _key(uri: str, folder: Path) -> list[Any]:
    return ["ontology", ontologies.ONTOLOGY_FORMAT, uri, _gate(folder).places]


@pytest.mark.full
def test_a_task_of_one_step_knows_the_ontologies_of_all(tmp_path: Path) -> None:
    (tmp_path / "terms.ttl").write_text(TURTLE, encoding="utf-8")
    tool = _write(tmp_path, "terms.ttl").read_text()
    (tmp_path / "other.cwl").write_text(tool.replace('$schemas: ["terms.ttl"]', ""), encoding="utf-8")
    step = "{{run: {name}.cwl, in: {{reads: reads}}, out: []}}"
    steps = ", ".join(f"{name}: {step.format(name=name)}" for name in ("tool", "other"))
    path = tmp_path / "workflow.cwl"
    path.write_text(
        f"{{cwlVersion: v1.2, class: Workflow, inputs: {{reads: File}}, outputs: [], steps: {{{steps}}}}}",
        encoding="utf-8",
    )
    kept = tmp_path / "kept"
    _load(path, kept, validate=True)

    def only_other(document: Any, loading: Any, _steps: Any) -> Any:
        document["steps"] = [each for each in document["steps"] if each["run"].endswith("other.cwl")]
        return documents.whole_workflow(document, loading)

    process = documents.load_document(
        str(path), _gate(tmp_path), {}, validate=False, folder=kept, make_workflow=only_other
    ).process
    (other,) = process.steps  # type: ignore[attr-defined]
    assert _is_binary(other.embedded_tool)


@pytest.mark.full
@pytest.mark.parametrize("folder", [None, "kept"])
def test_a_site_may_do_without_ontologies(tmp_path: Path, server: Server, folder: str | None) -> None:
    path, kept = _write(tmp_path, server.uri), tmp_path / folder if folder else None
    assert _load(path, kept, validate=True, skip_schemas=True).ontologies == ()
    assert not _is_binary(_load(path, kept, skip_schemas=True).process)
    assert server.asked == 0
    assert _is_binary(_load(path, kept).process)


def test_a_host_that_is_not_listed_is_not_asked(tmp_path: Path, server: Server) -> None:
    gate = places(tmp_path, document_hosts=()).gate("dag")
    assert ontologies.known_terms([server.uri], gate, tmp_path / "kept") == []
    assert server.asked == 0


def test_names_in_a_document_are_looked_up_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path)
    path.write_text(path.read_text() + "e:author: [{class: e:Person, e:home: http://home.example.org/}]\n")

    def look_up(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked up")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert _load(path, tmp_path / "kept", validate=True).ontologies == ()


@pytest.mark.full
@pytest.mark.parametrize("spoilt", ["", "{", "[]\n", '{"asked": 1, "odd": 2}\n[]', '{"asked": 1}\n{'])
def test_a_spoilt_entry_counts_as_missing(tmp_path: Path, server: Server, spoilt: str) -> None:
    gate = _gate(tmp_path)
    ontologies.refresh_ontologies([server.uri], gate, tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_text(spoilt, encoding="utf-8")
    ontologies.refresh_ontologies([server.uri], gate, tmp_path)
    assert len(ontologies.known_terms([server.uri], gate, tmp_path)) == 2


@pytest.mark.parametrize("name", ["terms.ttl", "terms.rdf", "terms", "terms.n3"])
def test_the_form_is_found_whatever_its_name_says(name: str) -> None:
    assert len(read_terms(TURTLE, f"http://example.org/{name}")) == 2


def test_what_is_no_ontology_says_so() -> None:
    with pytest.raises(ValueError, match="neither RDF/XML nor Turtle"):
        read_terms("<html><body>sign in<br></html>", "http://example.org/terms.rdf")


def test_terms_are_read_when_somebody_asks() -> None:
    read: list[int] = []

    def terms() -> list[tuple[str, str, str]]:
        read.append(1)
        return [(f"{EDAM}a", "http://www.w3.org/2000/01/rdf-schema#subClassOf", f"{EDAM}b")]

    graph = Ontologies(terms)
    assert read == []
    for _ in range(2):
        assert formatSubclassOf(f"{EDAM}a", f"{EDAM}b", graph, set())
    assert read == [1]


def test_no_reading_waits_for_one_that_another_process_renews(tmp_path: Path, server: Server) -> None:
    gate = _gate(tmp_path)
    server.status = 500
    ontologies.refresh_ontologies([server.uri], gate, tmp_path)
    (entry,) = tmp_path.glob("*.kept")
    with contextlib.ExitStack() as stack:
        assert stack.enter_context(ontologies.cache.alone(entry))
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(ontologies, "RETRY", 0)
        began = time.monotonic()
        ontologies.refresh_ontologies([server.uri], gate, tmp_path)
        assert time.monotonic() - began < 5
    assert server.asked == 1
