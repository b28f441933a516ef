"""Which release a command is of."""

from __future__ import annotations

import argparse
from importlib.metadata import version


def add_version(parser: argparse.ArgumentParser) -> None:
    """Let a command say which release it is of."""
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('cwl-airflow')}")
