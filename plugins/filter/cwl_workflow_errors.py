"""Check workflows on the controller before anything reaches a host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

# libyaml refuses characters beyond Unicode, where PyYAML's own scanner raises OverflowError.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def cwl_workflow_errors(folders: Iterable[str]) -> list[str]:
    """Look for what would fail on a host.

    :param folders: folders on the controller, each a workflow with a DAG file and documents.
    :returns: one message per problem; those about a document name its file and line.
    """
    errors: list[str] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            errors.append(f"{folder} is no folder on the controller: correct the path")
            continue
        if not any(folder.glob("*.py")):
            errors.append(f"{folder} has no DAG file (*.py): see files/workflows/two-step/dag.py")
        for path in sorted(path for path in folder.rglob("*.cwl") if not path.is_dir()):
            try:
                for _ in yaml.compose_all(path.read_text(encoding="utf-8"), Loader=_LOADER):
                    pass
            except OSError as error:
                errors.append(f"{path} cannot be read: {error.strerror}")
            except yaml.YAMLError as error:
                mark = getattr(error, "problem_mark", None)
                line = f", line {mark.line + 1}" if mark else ""
                errors.append(f"{path}{line} is not YAML: {getattr(error, 'problem', None) or error}")
            except UnicodeDecodeError as error:
                errors.append(f"{path} is not UTF-8: {error.reason} at byte {error.start}")
    return errors


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"cwl_workflow_errors": cwl_workflow_errors}
