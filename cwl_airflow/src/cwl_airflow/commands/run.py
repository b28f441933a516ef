"""Run one CWL document on this host, as other CWL runners do: through Airflow's REST API, as any run.

Members of the group cwl-data run it as themselves, from wherever they are. What the host's runs may not read where it
is, they get: a second name of a file on the same disk, or a copy. The run and its DAG stay on Airflow's pages.

Inputs are in the job's file, or options that are called like them, after all others: --reads a.fq --threads 4. A list
takes several values.

Exit codes are those that CWL's conformance tests know: 0 success, 1 failure, 33 a feature is not supported.
Source: https://github.com/common-workflow-language/cwltest
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..documents.plan import DISPATCHER, GATHERER
from ..gate import Refused
from ..rest import RestError, run_page
from ..shell.host import Host, NoLogin, find_host
from ..shell.options import read_options
from ..shell.run import ShellRun, ShellRunFailed, run_document
from .version import add_version

UNSUPPORTED, INTERRUPTED = 33, 130
#: How the states of steps are shown.
STYLES = {"success": "green", "failed": "red", "running": "blue"}


def main(argv: list[str] | None = None) -> int:
    """Print the outputs of a document as JSON, which stay in the host's folder."""
    return run_command(argv, "cwl-airflow-run", outdir=None)


def runner(argv: list[str] | None = None) -> int:
    """Print the outputs of a document as JSON, and put them where CWL runners do: into this folder."""
    return run_command(argv, "cwl-runner", outdir=Path())


def run_command(argv: list[str] | None, name: str, outdir: Path | None) -> int:
    """Run what a command line says, and return the exit code.

    :param name: of the command.
    :param outdir: where outputs go by default; none to leave them in the host's folder.
    """
    parser = make_parser(name, outdir)
    own, inputs = split_inputs(sys.argv[1:] if argv is None else argv, parser)
    options = parser.parse_args(own)
    if options.job and inputs:
        parser.error("give the inputs in the job's file or as options, not both")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        host = find_host(options.url)
        host.check_dags_are_shared()
        with Progress(host, options.quiet, options.rm) as progress:
            run = ShellRun(
                options.tool,
                options.job,
                read_options(inputs),
                options.outdir,
                options.timeout,
                options.rm,
                progress.watch,
            )
            outputs = run_document(host, run)
    except (ShellRunFailed, Refused, RestError, NoLogin, ValueError) as error:
        if not options.quiet:
            print(error, file=sys.stderr)
        return UNSUPPORTED if "UnsupportedRequirement" in str(error) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    print(json.dumps(outputs, indent=2))
    return 0


def make_parser(name: str, outdir: Path | None) -> argparse.ArgumentParser:
    """Return what reads the command line, see `run_command`."""
    parser = argparse.ArgumentParser(
        prog=name, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add_version(parser)
    stays = "this folder" if outdir else "they stay in the host's outputs folder"
    parser.add_argument("tool", help="path or URL of the document, with #name for one process of several")
    parser.add_argument("job", nargs="?", help="path or URL of the job's file")
    parser.add_argument("--outdir", type=Path, default=outdir, help=f"folder for the outputs (default: {stays})")
    parser.add_argument(
        "--timeout", type=float, default=math.inf, metavar="SECONDS", help="end the run after this time"
    )
    parser.add_argument("--url", help="Airflow's api-server (default: the host's)")
    parser.add_argument("--quiet", action="store_true", help="say nothing of failed tasks")
    parser.add_argument("--rm", action="store_true", help="remove the run and its DAG from Airflow's pages afterwards")
    return parser


def split_inputs(words: Sequence[str], parser: argparse.ArgumentParser) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words of the command's own, and those from the first option on that it does not have.

    :param parser: knows its own.
    """
    of_command = {option for action in parser._actions for option in action.option_strings}
    for number, word in enumerate(words):
        if word.startswith("--") and word.partition("=")[0] not in of_command:
            return words[:number], words[number:]
    return words, []


class Progress:
    """Says where a run is to be seen, and shows its steps while it is at work, each in a line."""

    def __init__(self, host: Host, quiet: bool, removed: bool) -> None:
        """Note for whom.

        :param quiet: say nothing.
        :param removed: the page is gone afterwards.
        """
        self._client, self._pages = host.client, host.pages
        self._says_where = not quiet and not removed
        shown = sys.stderr.isatty() and not quiet
        self._live = Live(console=Console(stderr=True), auto_refresh=False) if shown else None

    def __enter__(self) -> Progress:
        """Begin."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Leave the last state."""
        if self._live:
            self._live.stop()

    def watch(self, dag_id: str, run_id: str) -> Callable[[], None]:
        """Return what shows how far a run is."""
        if self._says_where:
            print(f"{self._pages}/{run_page(dag_id, run_id)}", file=sys.stderr)
        live = self._live
        if live is None:
            return lambda: None

        def show() -> None:
            live.update(step_table(self._client.get_tasks(dag_id, run_id)), refresh=True)

        return show


def step_table(tasks: Sequence[Mapping[str, Any]]) -> Table:
    """Return the steps of a run with their state and how long they took.

    :param tasks: as Airflow's API describes them.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    for task in tasks:
        if task["map_index"] < 0 and task["task_id"] not in (DISPATCHER, GATHERER):
            state = task["state"] or "waiting"
            took = f"{task['duration']:.1f} s" if task.get("duration") else ""
            table.add_row(Text(task["task_id"]), Text(state, style=STYLES.get(state, "")), took)
    return table


if __name__ == "__main__":
    sys.exit(main())
