#!/usr/bin/python
"""Ansible module: tell whether a unit, or a file, is older than what it is made from."""

from __future__ import annotations

import glob
import os
import subprocess
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
---
module: outdated
short_description: Tell whether a unit, or a file, is older than what it is made from
description:
  - As make does it. A notification is lost with the play that is interrupted after it; what this compares is not.
  - Changes nothing itself. It reports a change where something has to follow, so that it can notify a handler.
options:
  unit:
    description:
      - A unit of systemd. It is outdated if it runs since before its own files or one of the sources changed, or if
        systemd has not read its files again. One that does not run is not, as it reads them when it starts; but a
        oneshot that has never run, or failed, is.
    type: str
  path:
    description:
      - A file in place of a unit, or a pattern of files. It is outdated if there is none or if one is older than one
        of the sources.
    type: path
  sources:
    description: Files, or patterns of them. Of a link the link itself counts. Those that are not there do not count.
    type: list
    elements: str
    default: []
  reload:
    description: A reload of the unit is enough.
    type: bool
    default: false
  running:
    description: The unit is to run. If it does not, that is outdated too, so that the handler starts it.
    type: bool
    default: false
author: [cwl-airflow-production contributors]
"""

EXAMPLES = """
- name: See whether the database runs with its settings
  outdated:
    unit: mysql
    sources: [/etc/mysql/mysql.conf.d/airflow.cnf]
  notify: Restart the database
"""

RETURN = """
newer:
  description: The sources that are newer.
  type: list
  elements: str
  returned: always
"""

#: What systemd is asked for.
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "Type",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "ExecMainStartTimestamp",
    "ActiveEnterTimestamp",
    "StateChangeTimestamp",
)


def show_unit(unit: str) -> dict[str, str]:
    """Return the properties of a unit.

    :raises subprocess.CalledProcessError: systemd does not answer.
    """
    command = ["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}", "--", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def read_time(text: str) -> float:
    """Return systemd's time in seconds since 1970; 0 if it has none."""
    if not text or text == "n/a":
        return 0
    moment = datetime.strptime(text.removesuffix(" UTC").partition(" ")[2], "%Y-%m-%d %H:%M:%S.%f")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def running_since(shown: dict[str, str], reload: bool) -> float | None:
    """Return since when a unit runs with what it read then; nothing if it does not run.

    :param shown: the unit's properties.
    :param reload: it reads its files at a reload too.
    """
    if shown["LoadState"] != "loaded":
        return None
    if shown.get("Type") == "oneshot":
        if shown["ActiveState"] == "failed":
            return 0
        return read_time(shown["ExecMainStartTimestamp"])
    if shown["ActiveState"] in ("inactive", "failed"):
        return None
    # A service that says when it is ready has read its files before; a socket has no process.
    names = ["ExecMainStartTimestamp" if shown.get("ExecMainStartTimestamp") else "ActiveEnterTimestamp"]
    return max(read_time(shown[name]) for name in [*names, *(["StateChangeTimestamp"] if reload else [])])


def find_newer(sources: list[str], since: float) -> list[str]:
    """Return the files that were written, or put in their place, after a time in seconds since 1970."""
    files = sorted({path for pattern in sources for path in glob.glob(pattern, include_hidden=True)})
    return [path for path in files if os.lstat(path).st_ctime > since]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str"},
            "path": {"type": "path"},
            "sources": {"type": "list", "elements": "str", "default": []},
            "reload": {"type": "bool", "default": False},
            "running": {"type": "bool", "default": False},
        },
        required_one_of=[("unit", "path")],
        mutually_exclusive=[("unit", "path")],
        supports_check_mode=True,
    )
    unit, path, sources = module.params["unit"], module.params["path"], module.params["sources"]
    if path:
        since = min((os.lstat(made).st_ctime for made in glob.glob(path)), default=0)
        newer = find_newer(sources, since)
        module.exit_json(changed=bool(newer), newer=newer)
    try:
        shown = show_unit(unit)
    except subprocess.CalledProcessError as error:
        module.fail_json(msg=f"systemd does not answer about {unit}: {error.stderr.strip()}")
    running = running_since(shown, module.params["reload"])
    if running is None:
        stopped = shown["LoadState"] == "loaded" and module.params["running"]
        module.exit_json(changed=stopped, newer=[])
        return
    # What generators write is written again at each reload.
    own = [shown["FragmentPath"], *shown["DropInPaths"].split()]
    own = [glob.escape(path) for path in own if path and not path.startswith("/run/")]
    newer = find_newer(own + sources, running)
    module.exit_json(changed=bool(newer) or shown["NeedDaemonReload"] == "yes", newer=newer)


if __name__ == "__main__":
    main()
