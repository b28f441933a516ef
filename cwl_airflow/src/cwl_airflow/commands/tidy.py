"""Remove what this host has collected: old rows, logs of tasks, data of failed runs, what is kept of documents.

What goes, and when, the site says (cwl_airflow_tidy_… in its inventory). The timer airflow-cwl-tidy does this each day.
Nothing of a run that runs or waits is removed, and no link is followed. The exit code is 1 when something that should
have gone is still there, which cwl-airflow-check says as well.
"""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import nullcontext


def main(argv: list[str] | None = None) -> int:
    """Say in a line for each kind what was removed; exit code 1 when something could not be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--verbose", action="store_true", help="name each thing")
    options = parser.parse_args(argv)

    # Only now, as it loads Airflow, which takes seconds and sets up the logs.
    from ..tidying.outcome import TidyingBusy, noted_tidying
    from ..tidying.site import tidy

    if options.verbose:
        logging.getLogger("cwl_airflow.tidying").setLevel(logging.DEBUG)
    unnoted: list[str] = []
    try:
        with nullcontext(unnoted) if options.dry_run else noted_tidying() as failures:
            try:
                for removal in tidy(options.dry_run):
                    print(removal, flush=True)
                    failures += [removal.problem] if removal.problem else []
            except ValueError as error:
                failures.append(str(error))
            for failure in failures:
                print(failure, file=sys.stderr)
            return int(bool(failures))
    except TidyingBusy as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
