"""Who reaches what, from every host's own point of view."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest
import testinfra

#: Where each host is found, and the ports that it has for others.
ADDRESSES = {
    "cluster-db": "192.168.65.10",
    "cluster-mq": "192.168.65.11",
    "cluster-head": "192.168.65.12",
    "cluster-node-1": "192.168.65.13",
    "cluster-node-2": "192.168.65.14",
}
DB, MQ, HEAD, *NODES = ADDRESSES
OPEN = {DB: {3306}, MQ: {5671, 15672}, HEAD: {80, 443, 8080}, **{node: {8793} for node in NODES}}
AIRFLOW = [HEAD, *NODES]
#: Who may ask what is behind a port; where nobody is named, everybody.
WEB = {(MQ, 15672): {HEAD}, (HEAD, 8080): set(NODES), **{(node, 8793): {HEAD} for node in NODES}}
CLIENTS = {**WEB, (DB, 3306): set(AIRFLOW), (MQ, 5671): set(AIRFLOW)}
SSH = 22
#: What is tried from everywhere.
PORTS = {80, 443, 3306, 4369, 5555, 5671, 5672, 8080, 8081, 8793, 15672, 25672, 33060}
PASSWORDS = Path(os.environ["CREDENTIALS"])

PYTHON = "/opt/airflow/bin/python"
#: Whether the database lets in who asks with the right password.
MYSQL = """
import json, sys, MySQLdb
values = json.load(sys.stdin)
try:
    connection = MySQLdb.connect(**values)
    cursor = connection.cursor()
    cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
    print(cursor.fetchone()[1])
except MySQLdb.OperationalError as error:
    print(error)
"""
#: The same of the broker.
AMQP = """
import json, sys
from kombu import Connection
values = json.load(sys.stdin)
try:
    with Connection(values.pop("url"), connect_timeout=5, **values) as connection:
        connection.connect()
        print("in")
except Exception as error:
    print(type(error).__name__, error)
"""


def named(host):
    """Return the name of a host."""
    return host.backend.get_hostname()


def secret(name):
    """Return a secret of the site."""
    return (PASSWORDS / name).read_text(encoding="utf-8").strip()


def run(host, program, values):
    """Return what a program of Python prints, with Airflow's packages and JSON as its input."""
    return host.check_output(f"echo {shlex.quote(json.dumps(values))} | {PYTHON} -c {shlex.quote(program)}").strip()


def status(host, url):
    """Return what a host is answered."""
    return int(host.run(f"curl --silent --max-time 20 --output /dev/null --write-out '%{{http_code}}' {url}").stdout)


def test_only_what_others_ask_is_open(host):
    sockets = [socket.rpartition(":") for socket in host.socket.get_listening_sockets() if socket.startswith("tcp")]
    others = {int(port) for address, _, port in sockets if "//127." not in address and not address.endswith("//::1")}
    assert others - {SSH} == OPEN[named(host)]


def test_who_has_to_ask_gets_a_connection_and_nobody_else(host):
    others = {address: name for name, address in ADDRESSES.items() if name != named(host)}
    # All at once, as what the firewall drops has no answer.
    tries = "".join(
        f"(timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/{port}' && echo {address} {port}) 2> /dev/null & "
        for address in others
        for port in PORTS
    )
    lines = host.run(f"{tries} wait").stdout.splitlines()
    assert {(others[address], int(port)) for address, port in map(str.split, lines)} == {
        (name, port)
        for name in others.values()
        for port in OPEN[name]
        if named(host) in CLIENTS.get((name, port), ADDRESSES)
    }


@pytest.mark.parametrize(("server", "port"), WEB, ids=str)
def test_a_service_answers_over_tls_only(server, port):
    client = testinfra.get_host(f"docker://{sorted(CLIENTS[server, port])[0]}")
    assert status(client, f"https://{ADDRESSES[server]}:{port}/") in (200, 301, 307, 404), port
    # What nginx says to who talks plain text at a port of TLS.
    assert status(client, f"http://{ADDRESSES[server]}:{port}/") == 400


@pytest.mark.parametrize(("server", "port"), WEB, ids=str)
def test_a_service_refuses_others_also_without_the_firewall(server, port):
    """The firewall is one of two: without it the service knows whom it lets in."""
    stranger = next(name for name in ADDRESSES if name not in {server, *CLIENTS[server, port]})
    host = testinfra.get_host(f"docker://{server}")
    rule = f"input ip saddr {ADDRESSES[stranger]} tcp dport {port} accept"
    host.check_output(f"nft add rule inet site {rule}")
    try:
        asked = status(testinfra.get_host(f"docker://{stranger}"), f"https://{ADDRESSES[server]}:{port}/")
    finally:
        host.check_output("systemctl restart site-firewall")
    assert asked == 403


def database(**more):
    """Return how Airflow logs in to the database."""
    login = {"user": "airflow", "password": secret("mysql_airflow")}
    return {"host": ADDRESSES[DB], **login, "connect_timeout": 10, **more}


VERIFIED = {"ssl_mode": "VERIFY_IDENTITY", "ssl": {"ca": "/etc/ssl/site/ca.pem"}}


@pytest.mark.parametrize("name", AIRFLOW)
def test_the_database_lets_airflow_in_over_tls_alone(name):
    host = testinfra.get_host(f"docker://{name}")
    assert run(host, MYSQL, database(**VERIFIED)).startswith("TLSv1.")
    assert "require_secure_transport" in run(host, MYSQL, database(ssl_mode="DISABLED"))
    # Who asks looks who answers, here with an authority that has not signed the server's certificate.
    stranger = {**VERIFIED, "ssl": {"ca": "/etc/ssl/certs/ISRG_Root_X1.pem"}}
    assert "certificate verify failed" in run(host, MYSQL, database(**stranger))


def test_the_database_lets_nobody_else_in():
    head = testinfra.get_host(f"docker://{HEAD}")
    assert "ccess denied for user 'root'" in run(head, MYSQL, {**database(**VERIFIED), "user": "root", "password": ""})
    accounts = testinfra.get_host(f"docker://{DB}").check_output(
        "mysql --batch --skip-column-names --execute \"SELECT host FROM mysql.user WHERE user = 'airflow'\""
    )
    assert set(accounts.split()) == {"localhost", "127.0.0.1", *(ADDRESSES[name] for name in AIRFLOW)}


@pytest.mark.parametrize("name", AIRFLOW)
def test_the_broker_lets_airflow_in_over_tls_alone(name):
    host, address = testinfra.get_host(f"docker://{name}"), ADDRESSES[MQ]
    url = f"amqp://airflow:{secret('rabbitmq_airflow')}@{address}:{{}}/airflow"
    verified = {"ca_certs": "/etc/ssl/site/ca.pem", "cert_reqs": 2, "server_hostname": address}
    assert run(host, AMQP, {"url": url.format(5671), "ssl": verified}) == "in"
    assert run(host, AMQP, {"url": url.format(5672)}) != "in"
    assert run(host, AMQP, {"url": url.format(5671)}) != "in"
    wrong = {**verified, "server_hostname": "192.168.65.99"}
    assert "CERTIFICATE_VERIFY_FAILED" in run(host, AMQP, {"url": url.format(5671), "ssl": wrong})


def test_files_have_the_same_owners_everywhere():
    found = {
        testinfra.get_host(f"docker://{name}").check_output(
            "id --user airflow; getent group airflow cwl-data | cut --delimiter=: --fields=3; "
            "stat --format=%u:%g /var/lib/airflow/cwl/outputs /var/lib/airflow/dags"
        )
        for name in AIRFLOW
    }
    assert len(found) == 1, found
