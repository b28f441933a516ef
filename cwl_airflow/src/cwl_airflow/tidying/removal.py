"""What one kind of things had that was removed, and what stood in the way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import trees

log = logging.getLogger("cwl_airflow.tidying")

#: In seconds.
DAY = 86400
#: So many reasons are told at most; the log has all.
TOLD = 3


@dataclass
class Removal:
    """Counts what is removed of one kind, or what would be."""

    #: What it is, in the plural.
    kind: str
    dry_run: bool
    count: int = 0
    #: On the disk; none where that is not known.
    bytes: int | None = 0
    failures: list[str] = field(default_factory=list)

    def note(self, item: str, size: int = 0) -> None:
        """Note that something was removed, or would be."""
        self.count += 1
        if self.bytes is not None:
            self.bytes += size
        log.debug("%s %s", "Would remove" if self.dry_run else "Removed", item)

    def fail(self, item: str, error: object) -> None:
        """Note that something could not be removed."""
        self.failures.append(f"{item}: {error}")
        log.error("%s: %s", item, error)

    @contextmanager
    def one(self, item: str) -> Iterator[None]:
        """Note what stands in the way of one thing, so that the others go on; one that is gone is no failure."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            self.fail(item, error.strerror or error)

    def remove_if_old(
        self, root: Path, names: tuple[str, ...], seconds: float, is_needed: Callable[[], bool] = lambda: False
    ) -> None:
        """Remove something below a root that did not change for a time.

        :param names: those of the folders on the way, and its own.
        :param is_needed: is asked last, just before it would go.
        """
        *above, name = names
        item = str(root.joinpath(*names))
        with self.one(item), trees.open_folder(root, *above) as folder:
            extent = trees.measure(folder, name)
            if time.time() - extent.changed < seconds or is_needed():
                return
            if not self.dry_run:
                trees.remove(folder, name)
            self.note(item, extent.bytes)

    def __str__(self) -> str:
        """Say it in a line."""
        done = "would be removed" if self.dry_run else "removed"
        size = "" if self.bytes is None else f", {self.bytes} bytes"
        return f"{self.kind}: {self.count} {done}{size}"

    @property
    def problem(self) -> str | None:
        """What stood in the way, in a line; none if nothing did."""
        if not self.failures:
            return None
        more = len(self.failures) - TOLD
        told = "; ".join(self.failures[:TOLD]) + (f"; and {more} more" if more > 0 else "")
        return f"{self.kind}: {told}"
