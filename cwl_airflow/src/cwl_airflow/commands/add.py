"""Add a CWL document to the DAGs of this host: check it, say what it needs, copy it, and pull its images.

It may be a path, a folder with one document that no other one there runs, or a URL, which is read where it is.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..containers import ContainerEngine, ContainerEngineError
from ..documents.plan import DISPATCHER, GATHERER
from ..documents.types import type_text
from ..gate import Refused
from ..rest import RestError
from ..shell.adding import (
    NewDocument,
    NotAdded,
    find_document,
    read_document,
    wait_for_tasks,
    written_dag,
)
from ..shell.host import NoLogin, find_host
from .run import INTERRUPTED
from .version import add_version


def main(argv: list[str] | None = None) -> int:
    """Add a document; exit code 1 when it is not added, or an image cannot be had."""
    options = make_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        host = find_host(options.url)
        document = read_document(host, find_document(options.document), options.dag)
        say(document)
        if options.check:
            return 0
        host.check_dags_are_shared()
        pulled = pull(document.about.images)
        with written_dag(host, document, options.replace) as file:
            tasks = wait_for_tasks(host, document.dag_id, file)
    except (NotAdded, NoLogin, Refused, RestError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    say_queues(tasks)
    print(f"{host.pages}/dags/{quote(document.dag_id, safe='')}")
    return 0 if pulled else 1


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(
        prog="cwl-airflow-add", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_version(parser)
    parser.add_argument("document", help="path or URL, perhaps with #name, or a folder")
    parser.add_argument("--dag", metavar="NAME", help="name of the DAG (default: that of the document or its folder)")
    parser.add_argument("--replace", action="store_true", help="replace a DAG of this name")
    parser.add_argument("--check", action="store_true", help="only check it, and say what it needs")
    parser.add_argument("--url", help="Airflow's api-server (default: the host's)")
    return parser


def say(document: NewDocument) -> None:
    """Say what a document takes and gives, and which images it needs."""
    about = document.about
    print(f"{document.dag_id}: {about.kind}{f', {about.label}' if about.label else ''}")
    for title, parameters in (("inputs", about.inputs), ("outputs", about.outputs)):
        listed = ", ".join(f"{each.name} ({type_text(each.type)})" for each in parameters)
        print(f"  {title}: {listed or 'none'}")
    print(f"  images: {', '.join(about.images) or 'none'}")


def say_queues(tasks: Iterable[Mapping[str, Any]]) -> None:
    """Say to which queue each step goes."""
    steps = {task["task_id"]: task["queue"] for task in tasks if task["task_id"] not in (DISPATCHER, GATHERER)}
    print(f"  queues: {', '.join(f'{step} → {queue}' for step, queue in steps.items())}")


def pull(images: Sequence[str]) -> bool:
    """Pull images, where this may, and tell whether all that it tried are there."""
    engine = ContainerEngine("docker")
    if engine.is_away():
        if images:
            print("  The first run pulls the images.")
        return True
    failed = False
    for image in images:
        try:
            if engine.image_size(image) is None:
                engine.pull(image)
        except ContainerEngineError as error:
            failed = True
            print(f"{image} cannot be pulled: {error}", file=sys.stderr)
    return not failed


if __name__ == "__main__":
    sys.exit(main())
