"""Try whether this host reaches the database and the broker as Airflow does."""

from __future__ import annotations

import argparse
import configparser
import os
import sys
import uuid
from urllib.parse import parse_qs, unquote, urlsplit


def setting(section: str, option: str) -> str:
    """Read one option of ``airflow.cfg`` without importing Airflow, which takes seconds.

    :raises configparser.Error: it is not set.
    """
    config = configparser.RawConfigParser()
    with open(os.environ["AIRFLOW_CONFIG"], encoding="utf-8") as stream:
        config.read_file(stream)
    return config.get(section, option).replace("%%", "%")


def optional_setting(section: str, option: str) -> str | None:
    """Read one option of ``airflow.cfg``; none if it is not set."""
    try:
        return setting(section, option)
    except configparser.Error:
        return None


def check_sql(timeout: int) -> str:
    """Connect to the database and ask for its version.

    :param timeout: bound of the connection attempt, in seconds.
    """
    import MySQLdb

    url = urlsplit(setting("database", "sql_alchemy_conn"))
    connection = MySQLdb.connect(
        host=url.hostname,
        port=url.port or 3306,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=url.path.lstrip("/"),
        charset=parse_qs(url.query).get("charset", ["utf8mb4"])[0],
        connect_timeout=timeout,
    )
    cursor = connection.cursor()
    cursor.execute("SELECT VERSION()")
    return f"{url.hostname}:{url.port} answers, version {cursor.fetchone()[0]}"


def check_amqp(timeout: int) -> str:
    """Connect to the broker, and pass a message through a queue of this connection's own.

    :param timeout: bound of the connection attempt and of the message's way, in seconds.
    """
    from kombu import Connection

    with Connection(setting("celery", "broker_url"), connect_timeout=timeout) as connection:
        name = f"cwl-airflow-check-{uuid.uuid4()}"
        queue = connection.SimpleQueue(name, queue_opts={"exclusive": True, "auto_delete": True, "durable": False})
        queue.put("ping")
        message = queue.get(timeout=timeout)
        message.ack()
        queue.close()
        return f"{connection.hostname}:{connection.port} passes messages"


CHECKS = {"sql": check_sql, "amqp": check_amqp}


def main(argv: list[str] | None = None) -> int:
    """Run the checks named on the command line; exit code 1 when one fails."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("checks", nargs="+", choices=sorted(CHECKS), help="what to try")
    arguments.add_argument("--timeout", type=int, default=10, help="seconds (default: 10)")
    options = arguments.parse_args(argv)
    failed = False
    for name in options.checks:
        try:
            print(f"{name}: {CHECKS[name](options.timeout)}")
        except Exception as error:  # each driver has its own
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
