"""Pulling images, with a small real program in the place of the Docker client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker_images_present
import pytest
from docker_images_present import is_present, pull

Docker = Callable[[str], Path]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Return a function that makes `docker` a shell script; it returns the log of the script's arguments."""
    log = tmp_path / "calls"
    log.touch()

    def make(script: str) -> Path:
        program = tmp_path / "bin" / "docker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nlog={log}\necho "$*" >> "$log"\n{script}\n', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return log

    return make


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between attempts, in seconds; they are not made."""
    asked: list[float] = []
    sleep = time.sleep

    def short(seconds: float) -> None:
        """Let subprocess, which looks for the end of a process every few milliseconds, sleep as ever."""
        if seconds < 1:
            sleep(seconds)
        else:
            asked.append(seconds)

    monkeypatch.setattr(time, "sleep", short)
    return asked


def calls(log: Path) -> list[str]:
    """Return what the client was called with."""
    return log.read_text(encoding="utf-8").splitlines()


def test_an_image_that_the_engine_holds_is_present(docker: Docker) -> None:
    log = docker('[ "$5" = "debian:12" ]')
    assert is_present("debian:12")
    assert not is_present("debian:13")
    assert calls(log) == [f"image inspect --format {{{{.Id}}}} debian:{version}" for version in (12, 13)]


def test_pulls_once_when_it_works(docker: Docker, pauses: list[float]) -> None:
    log = docker("exit 0")
    assert pull("debian:12", retries=3, timeout=10) == ""
    assert calls(log) == ["pull --quiet debian:12"]
    assert pauses == []


def test_pulls_again_after_growing_pauses(docker: Docker, pauses: list[float]) -> None:
    log = docker('[ "$(wc -l < "$log")" -ge 3 ] || { echo "no route" >&2; exit 1; }')
    assert pull("debian:12", retries=5, timeout=10) == ""
    assert len(calls(log)) == 3
    assert pauses == sorted(set(pauses)) and len(pauses) == 2


def test_gives_up_after_the_last_try_with_the_last_reason(docker: Docker, pauses: list[float]) -> None:
    log = docker('echo "try $(wc -l < "$log")" >&2; exit 1')
    assert pull("debian:12", retries=3, timeout=10) == "try 3"
    assert len(calls(log)) == 3
    assert len(pauses) == 2


def test_the_reason_is_the_last_line_of_the_errors(docker: Docker) -> None:
    docker(r"printf 'retrying\nmanifest for a:1 not found\n\n' >&2; exit 1")
    assert pull("a:1", retries=1, timeout=10) == "manifest for a:1 not found"


def test_the_reason_is_the_exit_code_when_nothing_is_said(docker: Docker) -> None:
    docker("exit 125")
    assert pull("a:1", retries=1, timeout=10) == "exit code 125"


def test_errors_need_not_be_utf8(docker: Docker) -> None:
    docker(r"printf 'pr\374fung\n' >&2; exit 1")
    assert pull("a:1", retries=1, timeout=10).startswith("pr")


def test_an_attempt_that_hangs_is_ended(docker: Docker) -> None:
    log = docker("exec sleep 60")
    began = time.monotonic()
    assert pull("a:1", retries=2, timeout=1.5) == "not done after 1.5 s"
    assert time.monotonic() - began < 10
    assert len(calls(log)) == 2


def test_a_hanging_attempt_may_be_followed_by_one_that_works(docker: Docker) -> None:
    docker('[ "$(wc -l < "$log")" -ge 2 ] || exec sleep 60')
    assert pull("a:1", retries=2, timeout=1.5) == ""


@pytest.mark.parametrize("retries", [0, -1])
def test_without_an_attempt_nothing_was_pulled(docker: Docker, retries: int) -> None:
    docker("exit 1")
    assert pull("a:1", retries=retries, timeout=10) != ""


def run_module(check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run the module as Ansible does, in a process of its own."""
    text = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check, "retries": 1, **arguments}})
    done = subprocess.run(
        [sys.executable, docker_images_present.__file__], input=text, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if result.get("failed") else 0)
    return result


ENGINE = """\
case "$*" in
  *held*) exit 0 ;;
  "image inspect"*) exit 1 ;;
  *broken*) echo "denied" >&2; exit 1 ;;
esac
"""


def test_the_module_pulls_what_is_missing(docker: Docker) -> None:
    log = docker(ENGINE)
    result = run_module(images=["held:1", "new:1", "new:1"])
    assert result["changed"]
    assert result["report"] == ["held:1: present", "new:1: pulled"]
    assert [call for call in calls(log) if call.startswith("pull")] == ["pull --quiet new:1"]


def test_the_module_changes_nothing_when_all_are_present(docker: Docker) -> None:
    docker(ENGINE)
    assert not run_module(images=["held:1", "held:2"])["changed"]
    assert not run_module(images=[])["changed"]


def test_the_module_names_each_image_that_failed(docker: Docker) -> None:
    docker(ENGINE)
    result = run_module(images=["broken:1", "new:1", "broken:2"])
    assert result["failed"] and result["changed"]
    assert "broken:1: denied; broken:2: denied" in result["msg"]
    assert result["report"] == [
        "broken:1: could not be pulled: denied",
        "broken:2: could not be pulled: denied",
        "new:1: pulled",
    ]


def test_the_module_forgives_optional_images(docker: Docker) -> None:
    docker(ENGINE)
    result = run_module(images=["broken:1"], optional=["broken:1"])
    assert not result.get("failed") and not result["changed"]
    assert result["report"] == ["broken:1: could not be pulled: denied"]


def test_the_module_pulls_nothing_in_check_mode(docker: Docker) -> None:
    log = docker(ENGINE)
    result = run_module(check=True, images=["held:1", "new:1"])
    assert result["changed"]
    assert result["report"] == ["held:1: present", "new:1: would be pulled"]
    assert not [call for call in calls(log) if call.startswith("pull")]
