"""The text of a DAG's document."""

from __future__ import annotations

import os
from typing import IO

from ..dags.settings import CWLSettings
from ..dags.shown import DOCUMENT, shown_file
from ..gate.job import absolute_path
from ..gate.objects import is_remote


def open_document(dag_id: str) -> tuple[IO[bytes], str]:
    """Open a DAG's document.

    :returns: the file, and its name.
    :raises FileNotFoundError: the DAG is of no document, or was not read yet, or its document is at a URL.
    :raises Refused: it is not where documents may be.
    """
    settings = CWLSettings.read({})
    try:
        source = shown_file(settings.pickle_folder, dag_id, DOCUMENT).read_text(encoding="utf-8")
    except OSError as error:
        raise FileNotFoundError("There is no document of this DAG: it is not made of one.") from error
    if is_remote(source):
        raise FileNotFoundError("This DAG's document is at a URL, which its page names.")
    path = absolute_path(source, "/")
    path = path if os.path.exists(path) else path.partition("#")[0]
    return settings.places.gate(dag_id).open(path, "The document"), os.path.basename(path)
