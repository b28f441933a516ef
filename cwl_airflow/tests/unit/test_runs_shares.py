"""What the steps of a host take together, with processes of this machine."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import time
from pathlib import Path

import psutil
import pytest
from cwl_airflow.runs import shares
from cwl_airflow.runs.limits import Resources
from cwl_airflow.runs.shares import held_share, host_resources, shares_file, start_of

HOST = Resources(4, 4096)
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the claims of a test to itself, and its waits short."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(shares, "PAUSE", 0.01)
    monkeypatch.setattr(shares, "LONGEST", 0.02)


def claims() -> list[dict[str, object]]:
    """Return what is claimed now."""
    return list(json.loads(shares_file().read_text()))


def step(wanted: Resources, log: str, seconds: float) -> None:
    """Hold a share for some time, and note when it began and ended."""
    with held_share(wanted, lambda _: None, HOST):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{time.monotonic()} {wanted.cores} {wanted.ram}\n")
        time.sleep(seconds)
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{time.monotonic()} {-wanted.cores} {-wanted.ram}\n")


def test_what_is_free_is_had_at_once() -> None:
    with held_share(Resources(1, 1024), pytest.fail, HOST), held_share(Resources(3, 3072), pytest.fail, HOST):
        assert len(claims()) == 2
    assert claims() == []


def test_steps_never_take_more_together_than_there_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    wanted = [Resources(1, 1024), Resources(4, 1024), Resources(2, 3000), Resources(9, 9000)] * 4
    running = [FORK.Process(target=step, args=(each, str(log), 0.02)) for each in wanted]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    assert [process.exitcode for process in running] == [0] * len(wanted)
    cores = ram = 0.0
    lines = sorted(tuple(map(float, line.split())) for line in log.read_text().splitlines())
    assert len(lines) == 2 * len(wanted)
    for _, more_cores, more_ram in lines:
        cores += max(-HOST.cores, min(more_cores, HOST.cores))
        ram += max(-HOST.ram, min(more_ram, HOST.ram))
        assert cores <= HOST.cores and ram <= HOST.ram
    assert claims() == []


def test_a_large_step_is_not_overtaken(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with held_share(Resources(1, 1024), pytest.fail, HOST):
        large = FORK.Process(target=step, args=(Resources(4, 4096), str(log), 0))
        large.start()
        while len(claims()) < 2:
            time.sleep(0.01)
        small = FORK.Process(target=step, args=(Resources(2, 1024), str(log), 0))
        small.start()
        while len(claims()) < 3:
            time.sleep(0.01)
        time.sleep(0.1)
        assert not log.exists()
    for process in (large, small):
        process.join(60)
    assert [float(line.split()[1]) for line in log.read_text().splitlines()] == [4, -4, 2, -2]


def test_who_waits_says_so_once(tmp_path: Path) -> None:
    said: list[str] = []
    other = FORK.Process(target=step, args=(HOST, str(tmp_path / "log"), 0.3))
    other.start()
    while not shares_file().exists() or not claims():
        time.sleep(0.01)
    with held_share(Resources(2, 512), said.append, HOST):
        other.join(60)
    assert [line.split(":")[0] for line in said] == [
        "This step begins when 2 cores and 512 MiB of this host are free",
        "They are free",
    ]


def test_what_a_killed_step_held_is_free() -> None:
    gone = FORK.Process(target=time.sleep, args=(0,))
    gone.start()
    gone.join()
    start = start_of(os.getpid())
    assert start
    held = {"cores": 4, "ram": 4096, "held": True}
    of_others = [
        {"id": "a", "process": gone.pid, "start": start, **held},
        # Its number belongs to another process by now.
        {"id": "b", "process": os.getpid(), "start": start - 1, **held},
    ]
    shares_file().write_text(json.dumps(of_others), encoding="utf-8")
    with held_share(HOST, pytest.fail, HOST):
        assert len(claims()) == 1


def test_who_is_ended_while_waiting_leaves_nothing() -> None:
    def end(_: str) -> None:
        raise KeyboardInterrupt

    with held_share(HOST, pytest.fail, HOST):
        with pytest.raises(KeyboardInterrupt), held_share(HOST, end, HOST):
            pytest.fail("it is not free")
        assert len(claims()) == 1


def test_nobody_else_may_hold_it_up_or_lead_it_astray(tmp_path: Path) -> None:
    lock = shares_file().with_suffix(".lock")
    with held_share(HOST, pytest.fail, HOST):
        assert lock.stat().st_mode & 0o777 == 0o600
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"), held_share(HOST, pytest.fail, HOST):
        pytest.fail("it is a link")


def test_a_part_of_the_host_is_left_to_the_system() -> None:
    has = host_resources()
    assert has.cores == len(os.sched_getaffinity(0))
    assert has.ram < psutil.virtual_memory().total / 2**20


def test_a_host_has_what_the_wiring_reckons_with() -> None:
    """Slots and queues follow from the one, what steps take together from the other."""
    path = Path(__file__).parents[3] / "plugins/filter/workers.py"
    specification = importlib.util.spec_from_file_location("workers", path)
    assert specification and specification.loader
    workers = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(workers)
    has = host_resources()
    facts = {"processor_vcpus": has.cores, "memtotal_mb": psutil.virtual_memory().total // 2**20}
    size = workers.worker_size(facts)
    assert (size["cpus"], size["ram"]) == (has.cores, pytest.approx(has.ram, abs=1))
