"""Which images go that documents named; the engine is a stand-in that does what the real one says it does."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from cwl_airflow.containers import ContainerEngine
from cwl_airflow.tidying.images import remove_images, short_name
from cwl_airflow.tidying.removal import DAY, Removal

TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\ninputs: []\noutputs: []\nbaseCommand: 'true'\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return Airflow's home."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def images(home: Path) -> Path:
    """Return a folder with a file for each image of the engine; a container uses one whose file has something in it."""
    (home / "images").mkdir()
    script = f"""#!/bin/sh
cd {home}/images
shift; command=$1; shift $(($# - 1))
[ -e "$1" ] || {{ echo "Error response from daemon: No such image: $1" >&2; exit 1; }}
case $command in
  inspect) echo 1000 ;;
  rm) [ ! -s "$1" ] || {{ echo "Error response from daemon: conflict: container x is using it" >&2; exit 1; }}
    [ "$1" != denied:1 ] || {{ echo "permission denied" >&2; exit 1; }}
    rm "$1" ;;
esac
"""
    (home / "engine").write_text(script, encoding="utf-8")
    (home / "engine").chmod(0o755)
    for image in ("tool:1", "used:1", "kept:1", "hand:1"):
        (home / "images" / image).touch()
    (home / "images/used:1").write_text("container", encoding="utf-8")
    return home / "images"


def write(home: Path, *names: str) -> None:
    """Write documents that need images, in place of those before."""
    (home / "dags").mkdir(exist_ok=True)
    for file in (home / "dags").iterdir():
        file.unlink()
    for number, image in enumerate(names):
        hints = f"hints: {{DockerRequirement: {{dockerPull: '{image}'}}}}\n"
        (home / f"dags/{number}.cwl").write_text(TOOL + hints, encoding="utf-8")


def tidy(home: Path, days: float = 30, dry_run: bool = False) -> Removal:
    """Remove images."""
    removal = Removal("images", dry_run)
    remove_images(removal, ContainerEngine(str(home / "engine")), [home / "dags", home / "none"], ["kept:1"], days)
    return removal


def pass_days(home: Path, days: float) -> None:
    """Make what is noted older."""
    noted = json.loads((home / "tidying-images.json").read_text(encoding="utf-8"))
    noted = {image: named - days * DAY for image, named in noted.items()}
    (home / "tidying-images.json").write_text(json.dumps(noted), encoding="utf-8")


def left(images: Path) -> list[str]:
    """Return the engine's images."""
    return sorted(image.name for image in images.iterdir())


def test_only_what_documents_named_goes_and_only_later(home: Path, images: Path) -> None:
    write(home, "docker.io/library/tool:1", "used:1", "kept:1")
    assert tidy(home).count == 0
    write(home)
    pass_days(home, 29)
    assert tidy(home).count == 0
    pass_days(home, 2)
    dry = tidy(home, dry_run=True)
    assert left(images) == ["hand:1", "kept:1", "tool:1", "used:1"]
    assert dry.count == 2
    removal = tidy(home)
    assert (removal.count, removal.bytes, removal.problem) == (1, 1000, None)
    assert left(images) == ["hand:1", "kept:1", "used:1"]
    # When no container uses it any more.
    (images / "used:1").write_text("", encoding="utf-8")
    assert tidy(home).count == 1
    assert set(json.loads((home / "tidying-images.json").read_text(encoding="utf-8"))) == {"kept:1"}


def test_one_that_another_document_names_otherwise_stays(home: Path, images: Path) -> None:
    write(home, "tool:1")
    tidy(home)
    write(home, "docker.io/library/tool:1")
    pass_days(home, 99)
    assert tidy(home).count == 0
    assert time.time() - json.loads((home / "tidying-images.json").read_text(encoding="utf-8"))["tool:1"] < DAY


def test_nothing_goes_while_a_document_cannot_be_read(home: Path, images: Path) -> None:
    write(home, "tool:1")
    tidy(home)
    write(home)
    pass_days(home, 99)
    (home / "dags/broken.cwl").write_text("cwlVersion: [", encoding="utf-8")
    removal = tidy(home)
    assert removal.count == 0
    assert removal.problem and "not every document can be read" in removal.problem
    assert "tool:1" in left(images)


def test_one_that_cannot_be_removed_is_a_failure_and_tried_again(home: Path, images: Path) -> None:
    (images / "denied:1").touch()
    write(home, "denied:1")
    tidy(home)
    write(home)
    pass_days(home, 99)
    for _ in range(2):
        removal = tidy(home)
        assert removal.problem == "images: image denied:1: permission denied"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("debian:12", "debian:12"),
        ("library/debian:12", "debian:12"),
        ("docker.io/library/debian:12", "debian:12"),
        ("index.docker.io/biocontainers/bwa:1", "biocontainers/bwa:1"),
        ("quay.io/library/debian:12", "quay.io/library/debian:12"),
        ("localhost:5000/docker.io/a", "localhost:5000/docker.io/a"),
    ],
)
def test_an_image_has_one_name(image: str, expected: str) -> None:
    assert short_name(image) == expected
