"""Which names may come from outside: of DAGs, which become files and arguments of commands, and of runs."""

from __future__ import annotations

import re

#: As long as Airflow's columns, which leaves room for a file's ending.
LONGEST = 250


def check_dag_id(name: str) -> None:
    """Refuse what cannot be the name of a new DAG.

    :raises ValueError: the message is one sentence.
    """
    if not re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}", name):
        raise ValueError(
            f"dag_id must have 1 to {LONGEST} characters: letters from A to Z, digits, '_', '-' and '.', "
            "of which the last two are not the first one."
        )


def check_name(name: str, value: str) -> None:
    """Refuse what can be the name of nothing, and what the database compares with an error.

    :param name: of the parameter, for the message.
    :param value: what it is.
    :raises ValueError: the message is one sentence.
    """
    # MySQL has Airflow's names in utf8mb3, which ends at U+FFFF.
    found = re.search("[\x00-\x1f\x7f\ud800-\udfff\U00010000-\U0010ffff]", value)
    if found:
        raise ValueError(f"{name} has a character that no name may have: U+{ord(found[0]):04X}.")


def check_run_id(run_id: str) -> None:
    """Refuse what cannot be the name of a new run.

    :raises ValueError: the message is one sentence.
    """
    check_name("run_id", run_id)
    if len(run_id) > LONGEST:
        raise ValueError(f"run_id has more than {LONGEST} characters.")
