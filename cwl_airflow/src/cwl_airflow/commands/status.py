"""Show how this site is: services, broker, database, disks, queues; what runs, and what failed and why.

Exit code 0 if it is well, 1 if something has to be seen to, 2 if nobody answers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..rest import RestError
from ..shell.host import NoLogin, find_host
from ..units import local_units
from .version import add_version

#: How states are shown.
STYLES = {"ok": "green", "wrong": "red"}


def main(argv: list[str] | None = None) -> int:
    """Show it, for people or for programs."""
    options = make_parser().parse_args(argv)
    try:
        found = find_host(options.url).client.get_page("status")
    except NoLogin as error:
        print(error, file=sys.stderr)
        return 2
    except (RestError, OSError) as error:
        print(f"Airflow's api-server does not say: {error}", file=sys.stderr)
        return 2
    found["parts"] += local_units()
    found["well"] = all(each["state"] == "ok" for each in found["parts"])
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found, Console())
    return 0 if found["well"] else 1


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="cwl-airflow-status", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_version(parser)
    parser.add_argument("--url", help="Airflow's api-server (default: the host's)")
    parser.add_argument("--json", action="store_true", help="print all of it in JSON")
    return parser


def show(found: dict[str, Any], console: Console) -> None:
    """Show it in tables."""
    _table(console, "", ["", "part", ""], ([each["state"], each["name"], each["text"]] for each in found["parts"]))
    names = ["name", "running", "waiting", "workers", "grants"]
    _table(console, "Queues", names, ([each[name] for name in names] for each in found["queues"]))
    rows = ([each["dag_id"], each["run_id"], each["start"]] for each in found["running"])
    _table(console, "Running", ["DAG", "run", "since"], rows)
    rows = ([each["dag_id"], each["run_id"], each["end"], "\n".join(each["why"])] for each in found["failed"])
    _table(console, "Failed in the last days", ["DAG", "run", "at", "why"], rows)
    console.print(", ".join(f"{name} {version}" for name, version in found["versions"].items()), highlight=False)
    console.print("[green]This site is well.[/]" if found["well"] else "[red]Something has to be seen to.[/]")


def _table(console: Console, title: str, columns: list[str], rows: Iterable[list[Any]]) -> None:
    table = Table(*columns, title=title or None, title_justify="left", box=None, pad_edge=False)
    table.show_header = bool(title)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell), style=STYLES.get(cell, "")) for cell in row))
    if table.row_count:
        console.print(table)
        console.print()


if __name__ == "__main__":
    sys.exit(main())
