"""Stop a run: end its processes and containers on all workers, remove its data and its rows."""

from __future__ import annotations

import argparse
import sys


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

    # Only now, as it loads Airflow, which takes seconds.
    from ..stopping.model import NotStopped
    from ..stopping.site import stop_run

    try:
        was_there = stop_run(options.dag, options.run, options.gone)
    except NotStopped as error:
        print(error, file=sys.stderr)
        return 1
    print("Stopped and removed." if was_there else f"There is no run '{options.run}' of DAG '{options.dag}'.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
