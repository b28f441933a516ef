"""Where runs say that their outputs and their data are. Anybody may have pushed these paths, so they are checked."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.utils.session import create_session
from schema_salad.ref_resolver import file_uri

from ..documents.plan import DISPATCHER, GATHERER, OUTPUTS_REPORT, STATISTICS
from ..gate import Gate, Refused
from ..gate.objects import FILES, local_path
from ..gate.places import open_regular
from ..runs.layout import JOB, own_name, run_folders
from .settings import CWLSettings

#: Bytes of a report that are read; as many of those that were read are kept.
LARGEST_REPORT = 80 * 2**20
#: For how long a file is kept that nobody asks for, in seconds; they go when another one is read.
KEPT_FOR = 600
#: A path as most are, which stands in a URI as it is.
PLAIN = re.compile(r"(?:[\w+,=@-][\w+,=@.-]*/)*[\w+,=@-][\w+,=@.-]*", re.ASCII)


class Parsed:
    """The last files that were read, as they are still: a large one takes seconds."""

    def __init__(self, number: int, size: int) -> None:
        """Say how many are kept.

        :param number: of files at most.
        :param size: of all of them at most, in bytes.
        """
        self._number, self._size = number, size
        #: With the time when each was asked for last, which is their order.
        self._kept: OrderedDict[tuple[Any, ...], tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, stream: IO[bytes], most: int, parse: Callable[[bytes], Any]) -> Any:
        """Return what is in a file; nobody may change it.

        :param stream: the file, open.
        :param most: bytes that are read of it.
        :param parse: what makes something of them.
        :raises ValueError: there is more in it.
        """
        found = os.fstat(stream.fileno())
        path = os.readlink(f"/proc/self/fd/{stream.fileno()}")
        if found.st_size > most:
            raise ValueError(f"{path} has {found.st_size} bytes; {most} are read at most")
        key = (path, found.st_ino, found.st_mtime_ns, found.st_size)
        with self._lock:  # two that want the same read it once
            made = self._kept.pop(key)[1] if key in self._kept else parse(stream.read(found.st_size))
            self._kept[key] = time.monotonic(), made
            while self._are_too_many():
                self._kept.popitem(last=False)
            return made

    def _are_too_many(self) -> bool:
        first = next(iter(self._kept.values()), None)
        is_old = len(self._kept) > 1 and first is not None and time.monotonic() - first[0] > KEPT_FOR
        return is_old or len(self._kept) > self._number or sum(size for *_, size in self._kept) > self._size


_reports = Parsed(4, LARGEST_REPORT)


@dataclass(frozen=True, eq=False)
class Report:
    """What a run reported of its outputs."""

    #: Where they are, by its real path.
    folder: str
    values: Mapping[str, Any]
    statistics: Mapping[str, Any]

    @cached_property
    def paths(self) -> frozenset[str]:
        """Files and folders that are outputs, below the folder."""
        found, waiting = set(), list(self.values.values())
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict):
                if each.get("class") in FILES:
                    found.add(self.below(each))
                waiting += each.values()
            elif isinstance(each, list):
                waiting += each
        return frozenset(found - {""})

    def below(self, value: Mapping[str, Any]) -> str:
        """Return the path of a file below the folder; nothing if it is elsewhere."""
        location = str(value.get("location") or "")
        if location.startswith(self._uri) and PLAIN.fullmatch(location, len(self._uri)):  # of very many files
            return location[len(self._uri) :]
        path = local_path(value)
        real = os.path.normpath(path) if path else ""
        return real[len(self.folder) + 1 :] if real.startswith(f"{self.folder}/") else ""

    @cached_property
    def _uri(self) -> str:
        return f"{file_uri(self.folder)}/"


def pushed(dag_id: str, run_id: str, task_id: str) -> Any:
    """Return what a task of a run returned; none if it has not ended."""
    query = XComModel.get_many(run_id=run_id, dag_ids=dag_id, task_ids=task_id, key=XCOM_RETURN_KEY, limit=1)
    with create_session() as session:
        returned: Any = session.scalar(query)
        return returned.value if returned is not None else None


def find_report(dag_id: str, run_id: str, most: int = LARGEST_REPORT) -> Report:
    """Return what a run reported of its outputs.

    :param most: bytes of the file at most.
    :raises FileNotFoundError: there are none (yet, or any more), or they are not its own.
    """
    path = pushed(dag_id, run_id, GATHERER)
    if not isinstance(path, str):
        raise FileNotFoundError("The run has no outputs.")
    try:
        return read_report(path, CWLSettings.read({}).places.gate(dag_id), run_id, most)
    except (OSError, Refused) as error:
        raise FileNotFoundError(f"The outputs are not there any more: {error}") from error
    except (ValueError, RecursionError) as error:
        raise FileNotFoundError(f"The outputs cannot be read: {error}") from error


def read_report(path: str, gate: Gate, run_id: str, most: int = LARGEST_REPORT) -> Report:
    """Read what a run reported.

    :param path: of the file.
    :param gate: of a run of the DAG.
    :param most: bytes of the file at most.
    :raises Refused: the file is not where a run of the DAG has its outputs, or is another run's.
    :raises OSError: it is gone.
    :raises ValueError: it is not what a run writes.
    """
    if os.path.basename(path) != OUTPUTS_REPORT:
        raise Refused(f"{path} is no report of outputs.")
    folder = gate.write(os.path.dirname(path), "The folder of the outputs")
    with open_regular(f"{folder}/{OUTPUTS_REPORT}", "The report of the outputs") as stream:
        report: Report = _reports.read(stream, most, lambda text: _parsed_report(text, folder))
    run = {"dag_id": gate.dag_id, "run_id": run_id}
    if report.statistics.get("run", run) != run:
        raise Refused(f"Another run has written its outputs over these in {folder}.")
    return report


def _parsed_report(text: bytes, folder: str) -> Report:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"{folder}/{OUTPUTS_REPORT} is no report of outputs")
    found = content.pop(STATISTICS, {})
    return Report(folder, content, found if isinstance(found, dict) else {})


def find_data(dag_id: str, run_id: str) -> str:
    """Return the folder with the intermediate data of a run, by its real path.

    :raises FileNotFoundError: it is not there (any more), or is not the run's own.
    """
    settings = CWLSettings.read({})
    path = pushed(dag_id, run_id, DISPATCHER)
    folder = str(run_folders(settings.tmp_folder, settings.outputs_folder, dag_id, run_id, {})[0])
    if isinstance(path, str) and os.path.basename(path) == JOB:  # a job may have named another place
        folder = os.path.dirname(path)
    try:
        real = settings.places.gate(dag_id).write(folder, "The data of the run", between_steps=True)
    except Refused as error:
        raise FileNotFoundError(str(error)) from error
    if real.split("/")[-2:] != [dag_id, own_name(run_id)]:
        raise FileNotFoundError(f"{folder} has no data of this run.")
    if not os.path.isdir(real):
        raise FileNotFoundError("The data of this run was removed: what its steps took and said is in their logs.")
    return real
