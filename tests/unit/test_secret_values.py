"""Where secrets go, and where they do not."""

from __future__ import annotations

from secret_values import FilterModule, login_units, options_environment, unit_credentials, without_options

CONFIG = {"database": {"sql_alchemy_conn": "hush", "pool": 5}, "core": {"fernet_key": "", "dags": "/dags"}, "api": {}}
SECRETS = {"database": ["sql_alchemy_conn"], "core": ["fernet_key", "not_set"], "celery": ["broker_url"]}


def test_a_configuration_has_all_but_its_secrets() -> None:
    assert without_options(CONFIG, SECRETS) == {"database": {"pool": 5}, "core": {"dags": "/dags"}, "api": {}}
    assert without_options(CONFIG, {}) == CONFIG
    # Each has its own: an option of another section may be called the same.
    assert without_options(CONFIG, {"api": ["pool"]}) == CONFIG


def test_secrets_that_are_set_go_where_airflow_reads_them() -> None:
    assert options_environment(CONFIG, SECRETS) == {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "hush",
        "AIRFLOW__CORE__FERNET_KEY": "",
    }


def test_those_who_take_logins_get_what_they_ask_with() -> None:
    units = {"web": {"logins": True, "credentials": {"key": "1"}}, "api": {"logins": True}, "worker": {"command": "x"}}
    given = login_units(units, {"secret": "2"})
    assert given["web"]["credentials"] == {"key": "1", "secret": "2"}
    assert given["api"]["credentials"] == {"secret": "2"}
    assert given["worker"] == {"command": "x", "credentials": {}}


def test_a_host_gets_the_credentials_of_its_own_services() -> None:
    units = {
        "web": {"credentials": {"key": "1", "conn": "2"}},
        "worker": {"credentials": {"key": "3"}},
        "timer": {"exec": "true"},
    }
    assert unit_credentials(units, ["timer", "web"]) == [
        {"name": "web.key", "value": "1"},
        {"name": "web.conn", "value": "2"},
    ]


def test_ansible_finds_the_filters() -> None:
    assert FilterModule().filters() == {
        "without_options": without_options,
        "options_environment": options_environment,
        "login_units": login_units,
        "unit_credentials": unit_credentials,
    }
