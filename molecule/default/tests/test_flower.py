"""What Flower tells those who do not log in."""

from __future__ import annotations

import json

import pytest

# Runs on the host, with the services' Python.
HANDLERS = """
import json, re
from flower.urls import handlers
from tornado.web import RequestHandler, StaticFileHandler, url

found = []
for handler in handlers:
    pattern, kind = (handler.regex.pattern, handler.handler_class) if isinstance(handler, url) else handler[:2]
    methods = [
        method for method in ("get", "post", "put", "patch", "delete")
        if getattr(kind, method) is not getattr(RequestHandler, method)
    ]
    if kind is not StaticFileHandler:
        path = re.sub("[(].*[)]|[.][*]", "/x", pattern).replace("//", "/").rstrip("$")
        found += [(path, method) for method in methods]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def flower(host):
    """Return a function that asks Flower and returns the status."""

    def ask(path, method="get", login=""):
        options = f"--silent --output /dev/null --write-out '%{{http_code}}' --request {method.upper()} {login}"
        return int(host.check_output(f"curl {options} --data '' http://127.0.0.1:5555{path}"))

    return ask


def test_every_address_asks_for_the_login(host, flower):
    addresses = json.loads(host.check_output("/opt/airflow/bin/python -c %s", HANDLERS))
    assert ["/metrics", "get"] in addresses
    assert len(addresses) > 30
    answers = {f"{method} {path}": flower(path, method) for path, method in addresses if path != "/healthcheck"}
    assert {address: status for address, status in answers.items() if status != 401} == {}


def test_health_is_told_to_everybody(flower):
    assert flower("/healthcheck") == 200


def test_metrics_are_told_to_the_administrator(flower, secret):
    assert flower("/metrics", login=f"--user admin:{secret('airflow_admin')}") == 200
