"""Try whether this host reaches the database and the broker as Airflow does, and whether its last tidying went well."""

from __future__ import annotations

import argparse
import sys

from ..connectivity import check_broker, check_database
from ..tidying.outcome import check_tidying

CHECKS = {"sql": check_database, "amqp": check_broker, "tidy": check_tidying}


def main(argv: list[str] | None = None) -> int:
    """Run the checks named on the command line; exit code 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="+", choices=sorted(CHECKS), help="what to try")
    parser.add_argument("--timeout", type=int, default=10, help="seconds (default: 10)")
    options = parser.parse_args(argv)
    failed = False
    for name in options.checks:
        try:
            print(f"{name}: {CHECKS[name](options.timeout)}")
        except Exception as error:  # each driver has its own
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
