"""Every public variable of a role stands in its defaults and in its argument specs, and both agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())


def load(path: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(params=ROLES, ids=lambda path: path.name)
def role(request: pytest.FixtureRequest) -> Path:
    """Return the folder of each role in turn."""
    path: Path = request.param
    return path


def options(role: Path) -> dict[str, dict[str, Any]]:
    """Return the options of a role's main entry point."""
    found: dict[str, dict[str, Any]] = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return found


def test_defaults_and_specs_name_the_same_variables(role: Path) -> None:
    optional = {name for name, option in options(role).items() if not option.get("required")}
    assert set(load(role / "defaults/main.yml")) == optional


def test_defaults_equal_those_of_the_specs(role: Path) -> None:
    defaults = load(role / "defaults/main.yml")
    for name, option in options(role).items():
        value = defaults.get(name)
        # A computed default is described in words.
        if not option.get("required") and not (isinstance(value, str) and "{{" in value):
            assert option["default"] == value, name


def test_every_variable_has_type_meaning_and_the_roles_prefix(role: Path) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role.name}_"), name
        assert option["type"], name
        assert option["description"].endswith("."), name


def test_every_entry_point_takes_the_same_variables(role: Path) -> None:
    specs = load(role / "meta/argument_specs.yml")["argument_specs"]
    assert "preflight" in specs
    for name, spec in specs.items():
        assert spec["options"] == options(role), name
        assert (role / f"tasks/{name}.yml").is_file(), name
