"""Names that would change nothing are told from those that a site may set."""

from __future__ import annotations

import pytest
from inventory_variables import mistyped, refused

ROLES = ["airflow", "mysql"]
KNOWN = {"mysql_port": "", "site_name": "", "__airflow_home": "is its own", "airflow_queues": "is made"}


def found(*names: str, given: bool = True) -> list[str]:
    """Return what is said of variables."""
    return list(refused(names, names if given else (), ROLES, KNOWN))


@pytest.mark.parametrize("name", ["mysql_port", "site_name", "ansible_user", "lab", "__several", "mysqlport", "sites"])
def test_a_site_sets_what_it_may_and_has_variables_of_its_own(name: str) -> None:
    assert found(name) == []


def test_a_name_that_begins_with_a_roles_is_compared_with_what_is_known() -> None:
    assert found("mysql_prot") == ["mysql_prot is no variable of a role: did you mean mysql_port?"]
    assert found("airflow_xyzzy_plugh") == ["airflow_xyzzy_plugh is no variable of a role"]


def test_another_name_must_be_all_but_equal() -> None:
    assert found("site_nmae") == ["site_nmae is known to nobody: did you mean site_name?"]


def test_what_is_made_is_refused_where_it_was_changed() -> None:
    assert found("airflow_queues", "__airflow_home") == ["__airflow_home is its own", "airflow_queues is made"]
    assert found("airflow_queues", given=False) == []


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("list", [[], ["a"]], ["foo", 5, {"a": 1}]),
        ("dict", [{}, {"a": 1}], ["foo", [], 5]),
        ("int", [0, -1, "8"], ["lots", "1.5", 1.5, True, [1], "", float("inf")]),
        ("float", [1, 0.4, "0.4"], ["lots", {}, False]),
        ("bool", [True, "yes", "false", 0], ["maybe", [True], 7]),
        ("str", ["a", 5, []], []),
    ],
)
def test_a_value_of_another_type_is_told(kind: str, right: list[object], wrong: list[object]) -> None:
    for value in [*right, None, "{{ known later }}", "{% if later %}1{% endif %}"]:
        assert mistyped("mysql_port", value, kind) == ""
    for value in wrong:
        assert mistyped("mysql_port", value, kind).startswith(f"mysql_port is {value!r}: give ")
