"""Flower's configuration: the login is asked for at every address but /healthcheck.

Flower 2.2.0 asks for it in each method by itself and forgets it in some, of which /metrics tells of all tasks. It runs
this file as Python before it starts (https://flower.readthedocs.io/en/latest/config.html).
"""

from flower.views import BaseHandler
from flower.views.monitor import Healthcheck
from tornado.web import HTTPError


def _ask_for_login(handler: BaseHandler) -> None:
    if not isinstance(handler, Healthcheck) and handler.application.options.basic_auth and not handler.current_user:
        raise HTTPError(401)


BaseHandler.prepare = _ask_for_login
