"""The picture of a DAG's document as SVG."""

from __future__ import annotations

import functools
import subprocess
import threading

from ..dags.settings import CWLSettings
from ..dags.shown import PICTURE, shown_file

#: For how long Graphviz may draw, in seconds: of a hundred steps it takes a part of one.
TIMEOUT = 10
#: What it does without where that was not enough: many arrows between many steps.
PLAINLY = ("-Gsplines=line", "-Gnslimit=0.1", "-Gnslimit1=0.1", "-Gmclimit=0.01")
#: One picture is drawn at a time.
_drawing = threading.Lock()


class NotDrawn(Exception):
    """Graphviz is not there, or gave up."""


def picture(dag_id: str) -> bytes:
    """Return the picture of a DAG's document.

    :raises FileNotFoundError: the DAG is of no document, or was not read yet.
    :raises NotDrawn: says why.
    """
    file = shown_file(CWLSettings.read({}).pickle_folder, dag_id, PICTURE)
    try:
        graph = file.read_text(encoding="utf-8")
    except OSError as error:
        raise FileNotFoundError("There is no picture of this DAG: it is not made of a CWL document.") from error
    with _drawing:
        svg, why = draw(graph)
    if why:
        raise NotDrawn(why)
    return svg


@functools.lru_cache(maxsize=16)
def draw(graph: str) -> tuple[bytes, str]:
    """Return a picture in Graphviz's language as SVG, or why there is none: that is not tried again."""
    why = ""
    for options in ((), PLAINLY):
        command = ["dot", "-Tsvg", *options]
        try:
            done = subprocess.run(command, input=graph.encode(), capture_output=True, check=True, timeout=TIMEOUT)
        except FileNotFoundError:
            return b"", "Graphviz, which draws pictures, is not installed here (Debian: graphviz)."
        except subprocess.SubprocessError as error:
            why = f"Graphviz did not draw the picture: {error}."
        else:
            return done.stdout, ""
    return b"", why
