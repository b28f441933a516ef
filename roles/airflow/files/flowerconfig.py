"""Flower's configuration, out of Airflow's; and the login, which is asked for at every address but /healthcheck.

Flower 2.2.0 asks for it in each method by itself and forgets it in some, of which /metrics tells of all tasks. It runs
this file as Python before it starts (https://flower.readthedocs.io/en/latest/config.html). Airflow's own command for
Flower loads all of Airflow, which takes 80 MiB more, for these options.
"""

import json
import os
from configparser import ConfigParser

from celery import current_app
from flower.views import BaseHandler
from flower.views.monitor import Healthcheck
from tornado.web import HTTPError

_config = ConfigParser()
with open(os.environ["AIRFLOW_CONFIG"], encoding="utf-8") as _file:
    _config.read_file(_file)
_celery = _config["celery"]
# Celery looks for it here, and nowhere else that is no command line.
os.environ["CELERY_BROKER_URL"] = _celery["broker_url"]
# Of a broker on another host, over TLS.
if _encrypted := json.loads(_celery.get("extra_celery_config", "{}")).get("broker_use_ssl"):
    current_app.conf.broker_use_ssl = _encrypted
address = _celery["flower_host"]
port = _celery.getint("flower_port")
basic_auth = _celery["flower_basic_auth"]
url_prefix = _celery.get("flower_url_prefix", "")


def _ask_for_login(handler: BaseHandler) -> None:
    if not isinstance(handler, Healthcheck) and handler.application.options.basic_auth and not handler.current_user:
        raise HTTPError(401)


BaseHandler.prepare = _ask_for_login
