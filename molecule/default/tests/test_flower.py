"""What Flower tells those who do not log in."""

from __future__ import annotations

import json

# Runs on the host, with the services' Python: asks at each address of Flower, and prints what it answers.
ASK = """
import http.client, json, re
from flower.urls import handlers
from tornado.web import RequestHandler, StaticFileHandler, url

answers = {}
for handler in handlers:
    pattern, kind = (handler.regex.pattern, handler.handler_class) if isinstance(handler, url) else handler[:2]
    path = "/flower" + re.sub("[(].*[)]|[.][*]", "/x", pattern).replace("//", "/").rstrip("$")
    for method in ("get", "post", "put", "patch", "delete") if kind is not StaticFileHandler else ():
        if getattr(kind, method) is not getattr(RequestHandler, method):
            connection = http.client.HTTPConnection("127.0.0.1", 5555, timeout=20)
            connection.request(method.upper(), path)
            answers[f"{method} {path}"] = connection.getresponse().status
print(json.dumps(answers))
"""


def test_every_address_but_that_of_health_asks_for_the_login(host):
    answers = json.loads(host.check_output("/opt/airflow/bin/python -c %s", ASK))
    assert len(answers) > 30
    assert answers.pop("get /flower/healthcheck") == 200
    assert answers.pop("get /flower/metrics") == 401
    assert {address: status for address, status in answers.items() if status != 401} == {}


def test_metrics_are_told_to_the_administrator(host, secret):
    login = f"user = admin:{secret('airflow_admin')}"
    assert "flower_events_total" in host.check_output(
        "printf %s | curl --silent --fail --config - http://127.0.0.1:5555/flower/metrics", login
    )
