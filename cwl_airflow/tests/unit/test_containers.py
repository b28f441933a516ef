"""A container engine by its command: a stand-in that does what the real ones say they do."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from cwl_airflow.containers import PROGRAMS, ContainerEngine, ContainerEngineError


@pytest.fixture
def engine(tmp_path: Path) -> ContainerEngine:
    """Return an engine with a container for each file of a folder, which has the folders of its mounts."""
    (tmp_path / "containers").mkdir()
    script = f"""#!/bin/sh
cd {tmp_path}/containers
case "$*" in
  "ps --all --quiet --no-trunc") ls ;;
  inspect*) shift 3
    for each; do [ -e $each ] || {{ echo "Error: No such object: $each" >&2; exit 1; }}
      printf '%s%s\\n' $each "$(cat $each)"; done ;;
  "rm --force busy") echo "container is busy" >&2; exit 1 ;;
  "rm --force quiet") exit 3 ;;
  "rm --force "*) rm $3 2> /dev/null || {{ echo "Error response from daemon: No such container: $3" >&2; exit 1; }} ;;
esac
"""
    (tmp_path / "engine").write_text(script, encoding="utf-8")
    (tmp_path / "engine").chmod(0o755)
    return ContainerEngine(str(tmp_path / "engine"))


@pytest.fixture
def folder(engine: ContainerEngine, tmp_path: Path) -> Path:
    (tmp_path / "containers/a").write_text("\t/data\t/a b", encoding="utf-8")
    (tmp_path / "containers/b").touch()
    return tmp_path / "containers"


def test_containers_are_listed_and_looked_into(engine: ContainerEngine, folder: Path) -> None:
    assert engine.list_containers() == ["a", "b"]
    assert engine.inspect_mounts(["a", "b"]) == {"a": ["/data", "/a b"], "b": []}


def test_one_that_is_gone_is_left_out(engine: ContainerEngine, folder: Path) -> None:
    assert engine.inspect_mounts(["a", "gone"]) == {"a": ["/data", "/a b"]}


def test_without_containers_nothing_is_asked() -> None:
    assert ContainerEngine("/no/such/engine").inspect_mounts([]) == {}


def test_one_is_removed_and_may_be_gone(engine: ContainerEngine, folder: Path) -> None:
    engine.remove("a")
    assert [file.name for file in folder.iterdir()] == ["b"]
    engine.remove("a")


@pytest.mark.parametrize(("container", "message"), [("busy", "container is busy"), ("quiet", "exit status 3")])
def test_one_that_stays_is_an_error(engine: ContainerEngine, container: str, message: str) -> None:
    with pytest.raises(ContainerEngineError, match=f"^{message}$"):
        engine.remove(container)


def test_an_engine_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ContainerEngineError, match="No such file"):
        ContainerEngine("/no/such/engine").list_containers()


def test_an_engine_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "engine").write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    (tmp_path / "engine").chmod(0o755)
    with pytest.raises(ContainerEngineError, match="timed out"):
        ContainerEngine(str(tmp_path / "engine"), timeout=0.2).list_containers()


def test_an_engine_that_answers_and_has_no_service_was_not_lost(engine: ContainerEngine) -> None:
    assert not engine.is_away()
    assert not engine.was_lost_since(time.time())


def test_an_engine_that_does_not_answer_is_away() -> None:
    assert ContainerEngine("/no/such/engine").is_away()
    assert ContainerEngine("/no/such/engine").was_lost_since(0)


def test_an_engine_whose_service_began_later_was_lost(engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    me = psutil.Process()
    monkeypatch.setitem(PROGRAMS, engine.command, (me.name(),))
    assert engine.was_lost_since(me.create_time() - 1)
    assert not engine.was_lost_since(time.time() + 60)
