"""Prove this host: run its example workflows through Airflow, and compare their outputs with the expected ones.

Each is a folder below that of the DAG files, with a job and what it must give.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from ..configuration import read_administrator
from ..example_runs import ExampleFailed, ExampleRuns, find_examples
from ..expected_outputs import OutputsDiffer, compare_examples
from ..rest import LOCAL_URL, RETRIES, AirflowClient, RestError

RUN, COMPARE = "run", "compare"
#: An api-server that has just been set up may be away for two minutes, on a machine that is emulated.
PATIENT = RETRIES.new(total=7)


def main(argv: list[str] | None = None) -> int:
    """Show how the examples come along and what they give; exit code 1 when one does not as it must."""
    options = _parse(argv)
    names = options.names or find_examples()
    told: dict[str, Any] = {"run_id": options.run_id, "progress": []}
    status = 0
    try:
        if options.only != COMPARE:
            _run(names, options, told)
        if options.only != RUN:
            _compare(names, options, told)
    except (ExampleFailed, OutputsDiffer, RestError, OSError) as error:
        print(error, file=sys.stderr)
        status = 1
    if options.json:
        print(json.dumps(told, indent=2))
    return status


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="names of examples (default: all that this host has)")
    parser.add_argument(
        "--only", choices=[RUN, COMPARE], help="only run them, or only compare: on a host that sees the outputs"
    )
    parser.add_argument("--run-id", help="name of the runs (default: a new one)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds (default: 600)")
    parser.add_argument("--url", default=LOCAL_URL, help="Airflow's api-server (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print for programs: run_id, states, seconds, outputs, …")
    options = parser.parse_args(argv)
    if options.only == COMPARE and not options.run_id:
        parser.error("--only compare needs --run-id, that of the runs")
    options.run_id = options.run_id or time.strftime("verify-%Y%m%dT%H%M%S", time.gmtime())
    return options


def _run(names: list[str], options: argparse.Namespace, told: dict[str, Any]) -> None:
    """Run examples; tell of it line by line, or in `told`."""

    def show(line: str) -> None:
        told["progress"].append(line)
        if not options.json:
            print(line, flush=True)

    client = AirflowClient(options.url, *read_administrator(), retries=PATIENT)
    runs = ExampleRuns(client, options.run_id, show)
    told |= {"states": runs.states, "seconds": runs.seconds}
    runs.run(names, options.timeout)


def _compare(names: list[str], options: argparse.Namespace, told: dict[str, Any]) -> None:
    """Compare outputs; tell what they are, a line for each, or in `told`."""
    told["outputs"] = compare_examples(names, options.run_id)
    if not options.json:
        for name, lines in told["outputs"].items():
            for line in lines:
                print(f"{name}/{line}")


if __name__ == "__main__":
    sys.exit(main())
