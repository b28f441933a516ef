"""The image of a job: it is pulled once, and why it cannot be is told in the engine's own words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from begun import begin, shell
from cwl_airflow.dags.failures import last_line
from cwl_airflow.runs.executor import StepExecutor
from cwl_airflow.runs.images import ImageNotPulled
from cwl_airflow.runs.steps import run_step

#: Has the images that are files of its folder, notes what it is asked, and says of a pull what the real one does.
ENGINE = """#!/bin/sh
echo "$*" >> {folder}/asked
image=$(echo "$2" | tr /: __)
case "$1 $2" in
  "inspect "*) [ -e "{folder}/$image" ] || {{ echo "Error: No such object: $2" >&2; exit 1; }}; echo '[{{}}]' ;;
  "pull example/there:1") echo "1: Pulling from example/there"; touch "{folder}/$image" ;;
  "pull example/quiet:1") exit 3 ;;
  "pull "*) echo "Error response from daemon: pull access denied for $2" >&2; exit 1 ;;
  "run "*) for each; do case $each in --cidfile=*) echo id > "${{each#*=}}" ;; esac; done ;;
esac
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an engine that is called docker before any other, and return the file of what it is asked."""
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "docker").write_text(ENGINE.format(folder=folder), encoding="utf-8")
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("cwl_airflow.runs.images._THERE", set())
    return folder / "asked"


def run(folder: Path, image: str, kind: str = "requirements") -> str:
    """Run a tool in the container of an image."""
    document: dict[str, Any] = shell("true", **{kind: {"DockerRequirement": {"dockerPull": image}}})
    return run_step(begin(folder, document, use_container=True), None, "tool", StepExecutor(1, 1024))


def pulls(asked: Path) -> list[str]:
    return [line for line in asked.read_text(encoding="utf-8").splitlines() if line.startswith("pull ")]


def test_an_image_is_pulled_if_it_is_not_there(tmp_path: Path, asked: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert run(tmp_path / name, "example/there:1") == "success"
    assert pulls(asked) == ["pull example/there:1"]
    assert run(tmp_path / "two", "example/there:1") == "success"
    questions = [line for line in asked.read_text(encoding="utf-8").splitlines() if line.startswith("inspect")]
    assert questions == 2 * ["inspect example/there:1"]


def test_an_image_may_be_called_otherwise_than_it_is_pulled(tmp_path: Path, asked: Path) -> None:
    image = {"dockerPull": "example/there:1", "dockerImageId": "mine"}
    document: dict[str, Any] = shell("true", requirements={"DockerRequirement": image})
    assert run_step(begin(tmp_path, document, use_container=True), None, "tool", StepExecutor(1, 1024)) == "success"
    assert pulls(asked) == ["pull example/there:1"]


@pytest.mark.parametrize("kind", ["requirements", "hints"])
@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("example/none:1", "Error response from daemon: pull access denied for example/none:1"),
        ("example/quiet:1", "exit status 3"),
    ],
)
def test_why_it_cannot_be_is_told(
    tmp_path: Path, asked: Path, kind: str, image: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ImageNotPulled) as error:
        run(tmp_path, image, kind)
    assert last_line(error.value) == f"docker cannot pull the image {image}: {words}"
    assert len(pulls(asked)) == 1
    assert "No such object" not in capfd.readouterr().err
