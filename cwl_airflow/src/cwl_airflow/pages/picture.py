"""The picture of a DAG's document as SVG."""

from __future__ import annotations

import functools
import subprocess

from ..dags.picture import picture_file
from ..dags.settings import CWLSettings

#: For how long Graphviz may draw, in seconds: of a hundred steps it takes a part of one.
TIMEOUT = 30


class NotDrawn(Exception):
    """Graphviz is not there, or gave up."""


def picture(dag_id: str) -> bytes:
    """Return the picture of a DAG's document.

    :raises FileNotFoundError: the DAG is of no document, or was not read yet.
    :raises NotDrawn: says why.
    """
    file = picture_file(CWLSettings.read({}).pickle_folder, dag_id)
    try:
        graph = file.read_text(encoding="utf-8")
    except OSError as error:
        raise FileNotFoundError("There is no picture of this DAG: it is not made of a CWL document.") from error
    return draw(graph)


@functools.lru_cache(maxsize=16)
def draw(graph: str) -> bytes:
    """Return a picture in Graphviz's language as SVG.

    :raises NotDrawn: says why.
    """
    try:
        done = subprocess.run(["dot", "-Tsvg"], input=graph.encode(), capture_output=True, check=True, timeout=TIMEOUT)
    except FileNotFoundError as error:
        raise NotDrawn("Graphviz, which draws pictures, is not installed here (Debian: graphviz).") from error
    except subprocess.SubprocessError as error:
        raise NotDrawn(f"Graphviz did not draw the picture: {error}.") from error
    return done.stdout
