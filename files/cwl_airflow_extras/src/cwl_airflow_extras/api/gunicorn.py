"""Settings of gunicorn for the CWL API: ``gunicorn --config python:cwl_airflow_extras.api.gunicorn --bind …``.

Source: https://docs.gunicorn.org/en/stable/settings.html
"""

from __future__ import annotations

from typing import Any

wsgi_app = "cwl_airflow_extras.api.server:create_app()"
# Threads, so that a client that is slow to send holds up nobody.
worker_class = "gthread"
workers = 2
threads = 4
# Reading a large document takes a while.
timeout = 180
# Airflow is loaded once.
preload_app = True
accesslog = "-"
# Without the query, which may hold a job.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(M)s ms'
control_socket_disable = True
proc_name = "airflow-cwl-api"


def post_fork(_server: Any, _worker: Any) -> None:
    """Open connections to the database of this process's own."""
    from airflow import settings

    settings.engine.dispose(close=False)
