"""Stop a run: end its processes and containers on all workers, remove its data and its rows."""

from __future__ import annotations

import argparse
import sys

from ..rest import RestError
from ..shell.host import NoLogin, ShellClient, find_host


def main(argv: list[str] | None = None) -> int:
    """Stop a run; exit code 1 when something of it is still there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dag", help="DAG")
    parser.add_argument("run", help="name of the run (run_id)")
    parser.add_argument(
        "--gone",
        action="append",
        default=[],
        metavar="HOST",
        help="host that is gone for good, named as the error names it: do not wait for its worker (may be repeated)",
    )
    options = parser.parse_args(argv)
    try:
        host = find_host(None)
        if isinstance(host.client, ShellClient):
            if options.gone:
                parser.error("--gone is for the administrator: run it with sudo")
            return say(host.client.stop_run(host.api, options.dag, options.run), options.dag, options.run)
    except (NoLogin, RestError) as error:
        print(error, file=sys.stderr)
        return 1

    # Only now, as it loads Airflow, which takes seconds.
    from ..stopping.model import NotStopped
    from ..stopping.site import stop_run

    try:
        was_there = stop_run(options.dag, options.run, options.gone)
    except NotStopped as error:
        print(error, file=sys.stderr)
        return 1
    return say(was_there, options.dag, options.run)


def say(was_there: bool, dag_id: str, run_id: str) -> int:
    """Say that a run is gone, and return the exit code."""
    print("Stopped and removed." if was_there else f"There is no run '{run_id}' of DAG '{dag_id}'.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
