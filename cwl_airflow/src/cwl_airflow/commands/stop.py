"""Stop a run: end its processes and containers on all workers, remove its data and its rows."""

from __future__ import annotations

import argparse
import os
import sys

from ..configuration import configuration_file
from ..rest import RestError
from ..shell.host import NoLogin, ShellClient, find_host, login_socket
from .version import add_version


def main(argv: list[str] | None = None) -> int:
    """Stop a run; exit code 1 when something of it is still there."""
    parser = make_parser()
    options = parser.parse_args(argv)
    if not os.access(configuration_file(), os.R_OK) and os.path.exists(login_socket()):
        if options.gone:
            parser.error("--gone is for the administrator: run it with sudo")
        return ask_to_stop(options.dag, options.run)

    # Only now, as it loads Airflow, which takes seconds.
    from ..stopping.model import NotStopped
    from ..stopping.site import stop_run

    try:
        was_there = stop_run(options.dag, options.run, options.gone)
    except NotStopped as error:
        print(error, file=sys.stderr)
        return 1
    return say(was_there, options.dag, options.run)


def ask_to_stop(dag_id: str, run_id: str) -> int:
    """Have the CWL API stop a run for who may not do it alone, and return the exit code."""
    try:
        host = find_host(None)
        if not isinstance(host.client, ShellClient):
            raise NoLogin("Airflow's configuration cannot be read, but its administrator's login can.")
        was_there = host.client.stop_run(host.api, dag_id, run_id)
    except (NoLogin, RestError) as error:
        print(error, file=sys.stderr)
        return 1
    return say(was_there, dag_id, run_id)


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(prog="cwl-airflow-stop", description=__doc__)
    add_version(parser)
    parser.add_argument("dag", help="DAG")
    parser.add_argument("run", help="name of the run (run_id)")
    parser.add_argument(
        "--gone",
        action="append",
        default=[],
        metavar="HOST",
        help="host that is gone for good, named as the error names it: do not wait for its worker (may be repeated)",
    )
    return parser


def say(was_there: bool, dag_id: str, run_id: str) -> int:
    """Say that a run is gone, and return the exit code."""
    print("Stopped and removed." if was_there else f"There is no run '{run_id}' of DAG '{dag_id}'.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
