"""Which of a site's options and variables of Airflow are refused, and what the site is told."""

from __future__ import annotations

import pytest
from airflow_options import options_variables, proxied, removed_options

REMOVED = {"webserver": {"workers": "api.workers", "x": "", "y": "fab.z"}}
OWN = {"api": {"workers": "airflow_webserver_workers"}}
URL = "http://192.0.2.1:8080/execution/"


@pytest.mark.parametrize(
    ("option", "fix"),
    [
        ("workers", "set airflow_webserver_workers"),
        ("x", "remove it"),
        ("y", "set z in the section fab"),
    ],
)
def test_a_removed_option_is_told_with_what_to_do(option: str, fix: str) -> None:
    config = {"webserver": {option: 1, "other": 2}, "core": {"x": 3}}
    assert removed_options(config, REMOVED, OWN) == [f"{option} in the section webserver ({fix})"]


def test_an_option_has_three_variables() -> None:
    names = ["AIRFLOW__API__WORKERS", "AIRFLOW__API__WORKERS_CMD", "AIRFLOW__API__WORKERS_SECRET"]
    assert options_variables(OWN) == dict.fromkeys(names, "airflow_webserver_workers")


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, ""),
        ({"http_proxy": "http://192.0.2.9:3128"}, "http_proxy"),
        ({"ALL_PROXY": "http://192.0.2.9:3128"}, "ALL_PROXY"),
        ({"https_proxy": "http://192.0.2.9:3128"}, ""),
        ({"http_proxy": ""}, ""),
        ({"http_proxy": "http://192.0.2.9:3128", "no_proxy": "localhost, 192.0.2.1"}, ""),
        ({"http_proxy": "http://192.0.2.9:3128", "NO_PROXY": "*"}, ""),
        ({"http_proxy": "http://192.0.2.9:3128", "no_proxy": "localhost"}, "http_proxy"),
    ],
)
def test_a_proxy_before_the_api_server_is_seen(environment: dict[str, str], name: str) -> None:
    assert proxied(environment, URL) == name


def test_a_domain_stands_for_its_hosts() -> None:
    environment = {"http_proxy": "http://192.0.2.9:3128", "no_proxy": ".example.org"}
    assert proxied(environment, "http://head.example.org/execution/") == ""
    assert proxied(environment, "http://example.com/execution/") == "http_proxy"
