"""Gates for tests of other things: all of a test's own folder may be read and written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cwl_airflow.gate import DataPath, Gate, Places

#: The checkout, also for copies of the tests in a folder below it.
PROJECT = next(folder for folder in Path(__file__).parents if (folder / "site.yml").exists())


def places(folder: Path, **more: object) -> Places:
    """Return the places of a site below a folder, which is open as a whole."""
    site = folder / "site"
    own = {name: site / "cwl" / name for name in ("inputs", "outputs", "tmp", "embedded")}
    data = (DataPath(folder, writable=True), DataPath(PROJECT))
    return Places(**{"home": site, "dags": site / "dags", **own, "data": data, **more})  # type: ignore[arg-type]


def open_gate(folder: Path) -> Gate:
    """Return the gate of a run in ``<folder>/run``."""
    return places(folder).gate("dag", folder / "run")


#: Opens the folders of all tests.
GATE = open_gate(Path(tempfile.gettempdir()))
