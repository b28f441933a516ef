"""Print the log of a task of a run: of those that failed, or of the one that is named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from ..rest import NotFound, RestError
from ..shell.host import NoLogin, find_host
from .version import add_version


def main(argv: list[str] | None = None) -> int:
    """Print logs; exit code 1 when there is none."""
    parser = make_parser()
    options = parser.parse_args(argv)
    try:
        client = find_host(options.url).client
        tasks = client.get_tasks(options.dag, options.run)
        chosen = [task for task in tasks if _is_meant(task, options.step, options.job)]
        for task in chosen:
            if len(chosen) > 1:
                print(f"== {_name(task)}")
            print("\n".join(client.read_log(options.dag, options.run, task, options.attempt)))
    except NotFound:
        print(f"There is no run '{options.run}' of DAG '{options.dag}'.", file=sys.stderr)
        return 1
    except (RestError, NoLogin) as error:
        print(error, file=sys.stderr)
        return 1
    if not chosen:
        known = ", ".join(dict.fromkeys(task["task_id"] for task in tasks))
        print(
            f"No task failed: name one of {known}." if options.step is None else f"The run has {known}.",
            file=sys.stderr,
        )
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(prog="cwl-airflow-logs", description=__doc__)
    add_version(parser)
    parser.add_argument("dag", help="DAG")
    parser.add_argument("run", help="name of the run (run_id)")
    parser.add_argument("step", nargs="?", help="task of a step (default: those that failed)")
    parser.add_argument("--job", type=int, help="number of a task of a scattered step, from 0")
    parser.add_argument("--try", type=int, dest="attempt", metavar="NUMBER", help="which try (default: the last one)")
    parser.add_argument("--url", help="Airflow's api-server (default: the host's)")
    return parser


def _is_meant(task: Mapping[str, Any], step: str | None, job: int | None) -> bool:
    if step is None:
        return bool(task["state"] == "failed")
    return bool(task["task_id"] == step and task["try_number"] and (job is None or task["map_index"] == job))


def _name(task: Mapping[str, Any]) -> str:
    index = task["map_index"]
    return f"{task['task_id']}[{index}]" if index >= 0 else str(task["task_id"])


if __name__ == "__main__":
    sys.exit(main())
