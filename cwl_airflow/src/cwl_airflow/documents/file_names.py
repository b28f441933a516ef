"""Which names the files of a tool may have: any, unless a name could become a command.

A name that is a whole argument means nothing but itself. One that a document puts into a text, such as the script that
it gives to a shell, is a part of that text: ``a; touch b`` would be a second command, and one of whoever gives the job.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from cwl_utils.sandboxjs import param_re
from cwltool.command_line_tool import CommandLineTool, PathCheckingMode

#: Programs that take a text for commands, or run what follows them. Even a script that says ``$1`` without quotes makes
#: several words of a name with blanks, and options of some of them.
# fmt: off
SHELLS = frozenset((
    "ash", "bash", "busybox", "csh", "dash", "env", "eval", "exec", "fish", "ksh", "mksh", "nice", "nohup",
    "parallel", "sh", "ssh", "stdbuf", "sudo", "tcsh", "time", "timeout", "watch", "xargs", "zsh",
))
# fmt: on


def accepted_file_names(tool: CommandLineTool) -> PathCheckingMode:
    """Return which names cwltool is to take."""
    return PathCheckingMode.STRICT if _may_run_names(tool) else PathCheckingMode.RELAXED


def _may_run_names(tool: CommandLineTool) -> bool:
    if tool.get_requirement("ShellCommandRequirement")[0]:
        return True
    files, _ = tool.get_requirement("InitialWorkDirRequirement")
    environment, _ = tool.get_requirement("EnvVarRequirement")
    command = [*_strings(tool.tool.get("baseCommand")), *_strings(tool.tool.get("arguments"))]
    texts = [
        *command,
        *_strings(tool.tool["inputs"], "inputBinding"),
        *_strings(environment),
        *_strings((files or {}).get("listing")),
    ]
    return any(map(_is_composed, texts)) or any(map(_is_shell, command))


def _strings(value: Any, within: str = "") -> Iterator[str]:
    """Find the texts in a part of a document.

    :param within: only those below this field.
    """
    if isinstance(value, str):
        if not within:
            yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            if name != "entryname":  # a name is no text
                yield from _strings(each, "" if name == within else within)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _strings(each, within)


def _is_composed(text: str) -> bool:
    """Tell whether an expression in a text may be more than the value of one input."""
    text = text.strip()
    if "$(" not in text and "${" not in text:
        return False
    return not (text.startswith("$") and param_re.fullmatch(text[1:]))


def _is_shell(word: str) -> bool:
    return os.path.basename(word) in SHELLS
