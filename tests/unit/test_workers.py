"""How many tasks a worker host runs at once, and how much they may use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workers import FilterModule, most_slots, site_slots, worker_size, worker_slots

FACTS = st.fixed_dictionaries({"processor_vcpus": st.integers(1, 256), "memtotal_mb": st.integers(512, 4_000_000)})
QUEUES = st.dictionaries(
    st.sampled_from(["default", "advanced", "big", "wide"]),
    st.fixed_dictionaries({"cpus": st.integers(1, 128), "ram": st.integers(1, 500_000)}),
    min_size=1,
)
DEFAULT = {"cpus": 1, "ram": 1024}


def facts(cores: int, memory: int) -> dict[str, int]:
    """Return Ansible's facts of a host: cores, and memory in MiB."""
    return {"processor_vcpus": cores, "memtotal_mb": memory}


@pytest.mark.parametrize(
    ("cores", "memory", "left"), [(2, 3900, 2876), (4, 10240, 9216), (16, 64009, 57609), (64, 512000, 460800)]
)
def test_all_but_a_gigabyte_or_a_tenth_is_for_tasks(cores: int, memory: int, left: int) -> None:
    assert worker_size(facts(cores, memory)) == {"cpus": cores, "ram": left}


@given(FACTS)
def test_the_smallest_host_has_room_for_a_task_of_the_default_queue(of_host: dict[str, int]) -> None:
    size = worker_size(of_host)
    assert size["ram"] >= DEFAULT["ram"] and size["cpus"] >= DEFAULT["cpus"]
    assert worker_size({}) == DEFAULT


@pytest.mark.parametrize(
    ("cores", "memory", "slots"), [(1, 2048, 3), (2, 3900, 4), (2, 24000, 4), (8, 3900, 4), (16, 64000, 18)]
)
def test_slots_of_a_host_with_the_queues_that_a_site_has_by_default(cores: int, memory: int, slots: int) -> None:
    queues = {"default": DEFAULT, "advanced": worker_size(facts(cores, memory))}
    assert worker_slots(queues, queues, facts(cores, memory)) == slots
    # What serves only the largest jobs runs one of them.
    assert worker_slots(queues, ["advanced"], facts(cores, memory)) == 1


@given(QUEUES, FACTS)
def test_tasks_fit(queues: dict[str, dict[str, int]], of_host: dict[str, int]) -> None:
    """Of one queue at least so many as there are slots, or there is but one; one more of each does not fit."""
    size, slots = worker_size(of_host), worker_slots(queues, queues, of_host)
    working = slots - 2 if "default" in queues else slots
    assert working >= 1

    def fit(number: int) -> bool:
        return any(all(queue[kind] * number <= size[kind] for kind in size) for queue in queues.values())

    assert working == 1 or fit(working)
    assert not fit(working + 1)


def test_a_queue_that_is_not_there_counts_for_nothing() -> None:
    assert worker_slots({"default": DEFAULT}, ["none"], facts(8, 64000)) == 1


@pytest.mark.parametrize(
    ("workers", "slots"),
    [
        ([{"ansible_facts": facts(2, 8000)}, {"ansible_facts": facts(8, 16000)}], 4 + 10),
        ([{"ansible_facts": facts(8, 16000), "airflow_worker_concurrency": 3}], 3),
        ([{"ansible_facts": facts(8, 16000), "airflow_worker_queues": ["big"]}], 2),
        # Of a host that nothing is known of one assumes the least.
        ([{"ansible_facts": {}}], 3),
        ([], 0),
    ],
)
def test_slots_of_a_site(workers: list[dict[str, Any]], slots: int) -> None:
    assert site_slots(workers, {"default": DEFAULT, "big": {"cpus": 4, "ram": 4000}}) == slots


def test_no_queue_gives_a_worker_more_slots_than_counted() -> None:
    for facts_of in (facts(1, 512), facts(2, 8000), facts(64, 256_000)):
        for served in (["default"], ["small"], ["big"], ["default", "small", "big"]):
            queues = {"default": DEFAULT, "small": {"cpus": 1, "ram": 1}, "big": {"cpus": 4, "ram": 4000}}
            worker = {"ansible_facts": facts_of, "airflow_worker_queues": served}
            assert site_slots([worker], queues) <= most_slots([worker])
    assert most_slots([{"airflow_worker_concurrency": 7}, {}]) == 7 + 3


def test_ansible_finds_the_filters() -> None:
    assert FilterModule().filters() == {
        "most_slots": most_slots,
        "worker_size": worker_size,
        "worker_slots": worker_slots,
        "site_slots": site_slots,
    }
