"""cwl-airflow: what cwl-airflow 1.2 offers under this name, on Airflow 3.3.

Only the subcommand that is asked for loads what it needs.
"""

from __future__ import annotations

import argparse
import sys

from . import init, suite
from .version import add_version


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand, and return its exit code."""
    parser = argparse.ArgumentParser(prog="cwl-airflow", description="Runs CWL documents as DAGs of Airflow.")
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    api = commands.add_parser("api", help="serve the CWL API", description="Serve the CWL API until stopped.")
    api.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    api.add_argument("--port", type=_port, default=8081, help="TCP port, 0 for any (default: %(default)s)")
    api.set_defaults(run=_serve)

    checks = commands.add_parser(
        "init",
        help="check whether this Airflow is as CWL documents need it",
        description=init.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    init.add_arguments(checks)
    checks.set_defaults(run=init.run)

    tests = commands.add_parser(
        "test",
        help="run a suite of CWL tests through this host",
        description=suite.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    suite.add_arguments(tests)
    tests.set_defaults(run=suite.run)

    options = parser.parse_args(argv)
    return int(options.run(options))


def _port(text: str) -> int:
    """Return a TCP port.

    :raises ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _serve(options: argparse.Namespace) -> int:
    # Only now, as it loads what serves.
    from ..api.serve import serve

    serve(options.host, options.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
