"""The gate: what a run may read, where it may write, what its files may be called, and what it may fetch.

Every path, location and name of a run passes here at the moment of use, by its real path. Nothing here knows Airflow.

===========  ==================================================================
`places`     which folders a run reads and writes, and what never is read
`names`      what a file may be called
`job`        a job as it was given, before anything of it is read
`outputs`    what a tool or an expression left behind
`fetching`   hosts, sizes and times of what comes over HTTP
`hooks`      where cwltool and schema-salad open things: they are sent here
===========  ==================================================================
"""

from __future__ import annotations

from .places import DataPath, Gate, Places
from .refused import Refused

__all__ = ["DataPath", "Gate", "Places", "Refused"]
