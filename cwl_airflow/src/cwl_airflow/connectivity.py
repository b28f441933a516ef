"""Whether this host reaches database and broker as Airflow does; without Airflow, whose import takes seconds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

from .configuration import read_option, read_option_if_set

if TYPE_CHECKING:
    from kombu import Connection


def check_database(timeout: int) -> str:
    """Connect to the database and ask for its version.

    :param timeout: bound of the connection attempt, in seconds; SQLite, and what is no MySQL, has its own.
    :returns: who answered.
    """
    url = make_url(read_option("database", "sql_alchemy_conn"))
    return _check_mysql(url, timeout) if url.get_backend_name() == "mysql" else _check_other(url)


def _check_other(url: URL) -> str:
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise FileNotFoundError(f"{url.database} is not there")  # to connect would make it
    with create_engine(url).connect() as connection:
        version = ".".join(map(str, connection.dialect.server_version_info or ()))
    return f"{url.render_as_string()} answers, version {version}"


def _check_mysql(url: URL, timeout: int) -> str:
    import MySQLdb

    arguments = mysql_arguments(url)
    connection = MySQLdb.connect(**arguments, connect_timeout=timeout)
    cursor = connection.cursor()
    cursor.execute("SELECT VERSION()")
    return f"{url.host}:{arguments['port']} answers, version {cursor.fetchone()[0]}"


def mysql_arguments(url: URL) -> dict[str, Any]:
    """Return how MySQL's client is told where a database is."""
    authorities = url.query.get("ssl_ca")
    encrypted = {"ssl_mode": url.query["ssl_mode"], "ssl": {"ca": authorities}} if authorities else {}
    return {
        "host": url.host,
        "port": url.port or 3306,
        "user": url.username or "",
        "password": url.password or "",
        "database": url.database or "",
        "charset": url.query.get("charset", "utf8mb4"),
        **encrypted,
    }


def _connect_broker(timeout: int) -> Connection:
    from kombu import Connection

    more = json.loads(read_option_if_set("celery", "extra_celery_config") or "{}")
    return Connection(
        read_option("celery", "broker_url"), connect_timeout=timeout, ssl=more.get("broker_use_ssl", False)
    )


def check_broker(timeout: int) -> str:
    """Connect to the broker, and pass a message through a queue of this connection's own.

    :param timeout: bound of the connection attempt and of the message's way, in seconds.
    :returns: who passed it.
    """
    with _connect_broker(timeout) as connection:
        name = f"cwl-airflow-check-{uuid.uuid4()}"
        queue = connection.SimpleQueue(name, queue_opts={"exclusive": True, "auto_delete": True, "durable": False})
        queue.put("ping")
        message = queue.get(timeout=timeout)
        message.ack()
        queue.close()
        return f"{connection.hostname}:{connection.port} passes messages"


def count_consumers(queues: Iterable[str], timeout: int) -> dict[str, int]:
    """Return how many workers take tasks of queues; none of one that the broker does not know.

    :param timeout: bound of the connection attempt, in seconds.
    """
    found = {}
    with _connect_broker(timeout) as connection:
        for name in queues:
            found[name] = 0
            with suppress(*connection.channel_errors), connection.channel() as channel:
                found[name] = int(channel.queue_declare(name, passive=True).consumer_count)
    return found
