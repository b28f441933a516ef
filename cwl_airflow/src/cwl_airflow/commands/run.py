"""Run one CWL document on this host, as other CWL runners do: through Airflow's REST API, as any run.

Inputs are in the job's file, or options that are called like them, after all others: --reads a.fq --threads 4. A list
takes several values.

Exit codes are those that CWL's conformance tests know: 0 success, 1 failure, 33 a feature is not supported.
Source: https://github.com/common-workflow-language/cwltest
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..configuration import read_administrator
from ..documents.plan import DISPATCHER, GATHERER
from ..gate import Refused
from ..input_options import read_options
from ..local_run import RUN_ID, LocalRun, LocalRunFailed, run_document
from ..rest import AirflowClient

UNSUPPORTED = 33
#: How the states of steps are shown.
STYLES = {"success": "green", "failed": "red", "running": "blue"}


def main(argv: list[str] | None = None) -> int:
    """Print the outputs of a document as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("tool", help="path or URL of the document, with #name for one process of several")
    parser.add_argument("job", nargs="?", help="path of the job's file, which the service must be able to read")
    parser.add_argument(
        "--outdir", type=Path, help="folder for the outputs (default: they stay in the host's outputs folder)"
    )
    parser.add_argument("--timeout", type=float, default=3600, help="seconds (default: 3600)")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="Airflow's api-server (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="say nothing of failed tasks")
    own, inputs = split_inputs(sys.argv[1:] if argv is None else argv, parser)
    options = parser.parse_args(own)
    if options.job and inputs:
        parser.error("give the inputs in the job's file or as options, not both")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    client = AirflowClient(options.url, *read_administrator())
    try:
        with StepLines(client, shown=sys.stderr.isatty() and not options.quiet) as lines:
            outputs = run_document(
                client,
                LocalRun(options.tool, options.job, read_options(inputs), options.outdir, options.timeout, lines.watch),
            )
    except (LocalRunFailed, Refused, ValueError) as error:
        if not options.quiet:
            print(error, file=sys.stderr)
        return UNSUPPORTED if "UnsupportedRequirement" in str(error) else 1
    print(json.dumps(outputs, indent=2))
    return 0


def split_inputs(words: Sequence[str], parser: argparse.ArgumentParser) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words of the command's own, and those from the first option on that it does not have.

    :param parser: knows its own.
    """
    of_command = {option for action in parser._actions for option in action.option_strings}
    for number, word in enumerate(words):
        if word.startswith("--") and word.partition("=")[0] not in of_command:
            return words[:number], words[number:]
    return words, []


class StepLines:
    """Shows the steps of a run while it is at work, each in a line."""

    def __init__(self, client: AirflowClient, shown: bool) -> None:
        """Show them, or nothing.

        :param shown: whether there is somebody who looks.
        """
        self._client = client
        self._live = Live(console=Console(stderr=True), auto_refresh=False) if shown else None

    def __enter__(self) -> StepLines:
        """Begin."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Leave the last state."""
        if self._live:
            self._live.stop()

    def watch(self, dag_id: str) -> Callable[[], None]:
        """Return what shows how far the run of a DAG is."""
        live = self._live
        if live is None:
            return lambda: None

        def show() -> None:
            tasks = self._client.get_tasks(dag_id, RUN_ID)
            live.update(step_table(tasks), refresh=True)

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
