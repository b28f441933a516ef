#!/usr/bin/python
"""Ansible module: note in a file who holds a lock."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
---
module: lock_file
short_description: Note in a file who holds a lock
description:
  - What the action plugin site_lock runs on the host.
options:
  path:
    description: The file in which the holder stands; empty, or not there, when nobody holds the lock.
    type: path
    required: true
  state:
    description: Whether to take the lock or to give it back.
    choices: [held, free]
    default: held
    type: str
  holder:
    description: Who takes the lock, or gives it back.
    type: dict
    required: true
  replaces:
    description: A holder who counts as nobody.
    type: dict
author: [cwl-airflow-production contributors]
"""

EXAMPLES = """
- lock_file:
    path: /run/site.lock
    holder: {user: anna}
"""

RETURN = """
holder:
  description: Who holds the lock now; nobody if it is free.
  type: dict
  returned: always
"""

Holder = dict[str, Any]


def read_holder(text: str) -> Holder | None:
    """Return who stands in a lock; what cannot be read is nobody."""
    try:
        holder = json.loads(text)
    except ValueError:
        return None
    return holder if isinstance(holder, dict) and holder else None


def change_lock(path: str, holder: Holder, state: str, replaces: Holder | None) -> Holder | None:
    """Take a lock or give it back, unless another one holds it; and return who holds it then.

    :param path: the file of the lock.
    :param holder: who asks.
    :param state: ``held`` or ``free``.
    :param replaces: a holder that counts as nobody.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        there = read_holder(file.read())
        if there not in (None, holder, replaces):
            return there
        after = holder if state == "held" else None
        if after != there:
            file.seek(0)
            file.truncate()
            file.write(f"{json.dumps(after)}\n" if after else "")
        return after


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["held", "free"], "default": "held"},
            "holder": {"type": "dict", "required": True},
            "replaces": {"type": "dict"},
        }
    )
    p = module.params
    # It is no change of the site.
    module.exit_json(changed=False, holder=change_lock(p["path"], p["holder"], p["state"], p["replaces"]))


if __name__ == "__main__":
    main()
