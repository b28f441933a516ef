"""Which queue a step goes to: the smallest one that holds what its jobs need."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..documents.plan import ResourceNeed, StepTask


@dataclass(frozen=True, order=True)
class Queue:
    """What a task in a queue may use: memory in MiB, and cores.

    Smaller is which has less memory, then which has fewer cores: too little memory ends a tool, too few cores only
    slow it down.
    """

    ram: float = Field(gt=0, allow_inf_nan=False, strict=True)
    cpus: float = Field(gt=0, allow_inf_nan=False, strict=True)

    def __str__(self) -> str:
        """Return it in words."""
        return resources_in_words(self.cpus, self.ram)


_QUEUE = TypeAdapter(Queue)


def resources_in_words(cores: float, ram: float) -> str:
    """Return cores and memory in words."""
    return f"{cores:.10g} core{'' if cores == 1 else 's'} and {ram:.10g} MiB"


def read_queues(file: Path) -> dict[str, Queue]:
    """Read the queues of a site.

    :raises ValueError: names the file, the entry and what it must be.
    """
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {error}") from error
    if not isinstance(entries, dict) or not entries:
        raise ValueError(f"{file} has {entries!r}; it must have name: {{cpus: cores, ram: MiB}} for each queue")
    queues = {}
    for name, entry in entries.items():
        try:
            queues[str(name)] = _QUEUE.validate_python(entry)
        except ValidationError as error:
            raise ValueError(
                f"{file} has {name}: {entry!r}; it must be {{cpus: cores, ram: MiB}}, numbers above 0"
            ) from error
    return queues


def choose_queue(step: str, need: ResourceNeed, queues: Mapping[str, Queue]) -> str:
    """Return the name of the queue for a step.

    It is the smallest one that holds the need, the largest of these if the need is not known. What the document only
    hints at and no queue holds is not waited for: the step goes to the largest one.

    :param step: its name, for messages.
    :param queues: at least one.
    :raises ValueError: no queue holds what the document requires.
    """
    by_size = sorted(queues, key=lambda name: (queues[name], name))

    def holding(cores: float, ram: float) -> list[str]:
        return [name for name in by_size if queues[name].cpus >= cores and queues[name].ram >= ram]

    largest = f"the largest is '{by_size[-1]}' with {queues[by_size[-1]]}"
    enough = holding(need.required_cores, need.required_ram)
    if not enough:
        raise ValueError(
            f"Step '{step}' requires {resources_in_words(need.required_cores, need.required_ram)}, "
            f"and no queue has as much: {largest}. Change the site's cwl_airflow_queues or the document's "
            "ResourceRequirement, or let it run with less: oversized = cap, of the site or the DAG."
        )
    if held := holding(need.cores, need.ram):
        return held[0] if need.known else held[-1]
    logging.getLogger(__name__).warning(
        "Step '%s' asks for %s in a hint or under a condition, and no queue has as much: %s. It goes to '%s'.",
        step, resources_in_words(need.cores, need.ram), largest, enough[-1],
    )  # fmt: skip
    return enough[-1]


def queues_of_tasks(
    tasks: Mapping[str, StepTask],
    queues: Mapping[str, Queue],
    named: Mapping[str, str],
    for_all: str | None = None,
    capped: bool = False,
) -> dict[str, str]:
    """Return the queues of the tasks of steps.

    :param queues: those of the site; where nothing is known of them, only what is named is returned.
    :param named: what the DAG file names for tasks.
    :param for_all: what it names for all others.
    :param capped: whether a step that requires more than any queue has runs all the same, see `choose_capped_queue`.
    :raises ValueError: it names a task or a queue that is not there, or no queue holds what a step requires.
    """
    for name in named:
        if name not in tasks:
            raise ValueError(f"'queues' has '{name}', which is no task of a step: there are {', '.join(tasks)}")
    chosen = {**(dict.fromkeys(tasks, for_all) if for_all else {}), **named}
    if not queues:
        return chosen
    for queue in chosen.values():
        if queue not in queues:  # its tasks would wait for ever
            raise ValueError(f"Queue '{queue}' is not one of the site's cwl_airflow_queues: {', '.join(queues)}")
    choose = choose_capped_queue if capped else choose_queue
    return {name: chosen.get(name) or choose(task.step or name, task.need, queues) for name, task in tasks.items()}


def choose_capped_queue(step: str, need: ResourceNeed, queues: Mapping[str, Queue]) -> str:
    """Return the queue for a step, which runs with less than it requires if there is no other way.

    That is one with memory enough, if any has as much: a tool with fewer cores only takes longer.
    """
    try:
        return choose_queue(step, need, queues)
    except ValueError:

        def given(name: str) -> tuple[float, float, Queue, str]:
            queue = queues[name]
            return min(queue.ram, need.required_ram), min(queue.cpus, need.required_cores), queue, name

        return max(queues, key=given)


def capped_text(step: str, need: ResourceNeed, cores: float, ram: float) -> str | None:
    """Return in a sentence that a step gets less than it requires; none if it does not.

    :param cores: what its queue grants.
    :param ram: likewise, in MiB.
    """
    if need.required_cores <= cores and need.required_ram <= ram:
        return None
    return (
        f"Step '{step}' requires {resources_in_words(need.required_cores, need.required_ram)}, and runs with "
        f"{resources_in_words(min(need.cores, cores), min(need.ram, ram))}: its queue has no more (oversized = cap)."
    )
