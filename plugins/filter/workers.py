"""How much a worker host has for tasks, and how many of them it runs at once.

Roles and wiring use these: how the sizes of the queues and the number of tasks follow from the hosts is
written here only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: What is left to the system, in MiB and as a share: Airflow's own services, database and broker take about so much
#: of a small host, and on a large one the files that steps read stay in memory.
RESERVE, SHARE = 1024, 10
#: Where the first and the last task of each run go.
DEFAULT = "default"

Queues = Mapping[str, Mapping[str, int]]


def worker_size(facts: Mapping[str, Any]) -> dict[str, int]:
    """Return what the tasks of a host may use.

    :param facts: Ansible's facts of the host; one that is not known counts as the smallest.
    :returns: ``cpus``, all cores; ``ram`` in MiB, a gigabyte or a tenth less than all, whichever leaves less.
    """
    memory = int(facts.get("memtotal_mb") or 0)
    return {
        "cpus": int(facts.get("processor_vcpus") or 1),
        "ram": max(1024, min(memory - RESERVE, memory - memory // SHARE)),
    }


def worker_slots(queues: Queues, served: Iterable[str], facts: Mapping[str, Any]) -> int:
    """Return how many tasks a host runs at once by default.

    As many as fit of that queue of which most fit, and two more where it serves ``default``: the first and the last
    task of each run use little and wait for no step. Celery has one pool for all queues, so that more tasks of larger
    queues may come together than fit; a host that serves these only has no more slots than fit.

    :param queues: those of the site, with ``cpus`` and ``ram`` in MiB.
    :param served: names of those that the host takes tasks from.
    :param facts: Ansible's facts of the host.
    """
    names, size = set(served) & set(queues), worker_size(facts)
    fitting = [min(size[kind] // queues[name][kind] for kind in ("cpus", "ram")) for name in names]
    return max([1, *fitting]) + (2 if DEFAULT in names else 0)


def site_slots(workers: Iterable[Mapping[str, Any]], queues: Queues) -> int:
    """Return how many tasks all workers of a site run at once.

    :param workers: the variables of each worker host, as in ``hostvars``: what the site sets there goes before what
        the roles derive.
    :param queues: those of the site.
    """
    return sum(
        int(
            worker.get("airflow_worker_concurrency")
            or worker_slots(queues, worker.get("airflow_worker_queues") or queues, worker.get("ansible_facts") or {})
        )
        for worker in workers
    )


def most_slots(workers: Iterable[Mapping[str, Any]]) -> int:
    """Return how many tasks all workers of a site run at once at most, whatever its queues are.

    :param workers: as for `site_slots`.
    """
    return sum(
        int(worker.get("airflow_worker_concurrency") or worker_size(worker.get("ansible_facts") or {})["cpus"] + 2)
        for worker in workers
    )


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "most_slots": most_slots,
            "site_slots": site_slots,
            "worker_size": worker_size,
            "worker_slots": worker_slots,
        }
