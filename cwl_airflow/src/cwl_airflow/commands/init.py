"""Check whether this Airflow is as CWL documents need it, and say what was found. Nothing is changed.

Each line begins with ok, with note (some runs or services need it) or with wrong, and says what to do. The exit code is
1 when something is wrong.
"""

from __future__ import annotations

import argparse
import os


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``cwl-airflow init``."""
    parser.add_argument(
        "--timeout", type=int, default=10, help="for database and broker, in seconds (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Show what was found; exit code 1 when something is wrong."""
    # Only now, as it loads Airflow, which takes seconds. What that says meanwhile is no finding.
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "CRITICAL"
    from ..installation import check_installation

    wrong = 0
    for finding in check_installation(options.timeout):
        print(finding, flush=True)
        wrong += finding.state == "wrong"
    return int(wrong > 0)
