"""Give this machine secrets of its own, if it has those of another.

A box is copied to many machines. Each gets a machine-id of its own at its first boot, and its hypervisor gives
it another id (VirtualBox keeps the machine-id when it packages a machine). This program compares both with those
for which the secrets were made. It may be interrupted at any time: the new secrets are kept before the first of
them is used, and the ids are noted last.

What is renewed: Fernet key (what is stored is encrypted again), the keys that sign sessions and tokens, passwords of
the database, of both users of the broker and of the administrator. Erlang's cookie is made by the broker
itself when it finds none. They lie in CREDENTIALS, one file each, under the names that the controller of a
site uses.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from rabbitmq_password_hash import rabbitmq_password_hash

CREDENTIALS = Path("/etc/cwl-airflow/credentials")
MACHINE_IDS = [Path("/etc/machine-id"), Path("/sys/class/dmi/id/product_uuid")]
DONE_FOR = Path("/etc/cwl-airflow/machine-id")
CONFIGURATION = Path("/etc/airflow/airflow.cfg")
ADMINISTRATOR = Path("/etc/airflow/administrator.json")
WORKER_ENVIRONMENT = Path("/etc/airflow/worker.env")
DEFINITIONS = Path("/etc/rabbitmq/definitions.json")
#: Login of the package's own jobs, as administrator of the database; not every MySQL package has one.
MAINTENANCE = Path("/etc/mysql/debian.cnf")
BROKER_DATA = Path("/var/lib/rabbitmq")
#: Names of the secrets: those that the controller makes for a site.
NAMES: list[str] = json.loads(Path(__file__).with_name("credentials.json").read_text(encoding="utf-8"))


def run(*command: str, text: str) -> None:
    """Run a command with text on its standard input."""
    subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def write(path: Path, text: str) -> None:
    """Replace a file at once, with the owner and mode that it has (a new one is root's alone)."""
    new = path.with_name(path.name + ".new")
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    if path.exists():
        status = path.stat()
        os.chown(new, status.st_uid, status.st_gid)
        new.chmod(status.st_mode)
    with new.open(encoding="utf-8") as file:
        os.fsync(file.fileno())
    new.replace(path)


def option(text: str, name: str) -> str:
    """Return the value of an option of airflow.cfg, whose names are unique there."""
    match = re.search(rf"^{name} = (.*)$", text, re.MULTILINE)
    if not match:
        sys.exit(f"{CONFIGURATION} has no option {name}: restore the file")
    return match[1].replace("%%", "%")


def random_secret(name: str) -> str:
    """Return a new secret in the form that it must have."""
    if name == "fernet_key":
        return base64.urlsafe_b64encode(os.urandom(32)).decode()
    return secrets.token_hex(32 if name == "jwt_secret" else 16)


def make() -> dict[str, str]:
    """Make new secrets and keep them, or return those of an interrupted run."""
    CREDENTIALS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in NAMES:
        path = CREDENTIALS / f"{name}.next"
        if not path.exists():
            write(path, f"{random_secret(name)}\n")
    return {name: (CREDENTIALS / f"{name}.next").read_text(encoding="utf-8").strip() for name in NAMES}


def renew_maintenance() -> None:
    """Give the database package's own account another password."""
    text = MAINTENANCE.read_text(encoding="utf-8") if MAINTENANCE.exists() else ""
    user = re.search(r"^user\s*=\s*([\w.-]+)\s*$", text, re.MULTILINE)
    if user and re.search(r"^password\s*=\s*\S", text, re.MULTILINE):
        password = secrets.token_hex(16)
        run("mysql", text=f"ALTER USER IF EXISTS '{user[1]}'@'localhost' IDENTIFIED BY '{password}';")
        write(MAINTENANCE, re.sub(r"(?m)^(password\s*=\s*)\S.*$", rf"\g<1>{password}", text))


def renew(new: dict[str, str]) -> None:
    """Put new secrets in the place of the old ones."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    database = urlsplit(option(text, "sql_alchemy_conn"))
    broker = urlsplit(option(text, "broker_url"))
    login = {**json.loads(ADMINISTRATOR.read_text(encoding="utf-8")), "password": new["airflow_admin"]}

    alter = f"'ALTER USER ', QUOTE(user), '@', QUOTE(host), ' IDENTIFIED BY ', QUOTE('{new['mysql_airflow']}'), ';'"
    statements = subprocess.run(
        ["mysql", "--skip-column-names", "--batch"],
        input=f"SELECT CONCAT({alter}) FROM mysql.user WHERE user = '{database.username}';",  # nosec B608  # of the host itself
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    run("mysql", text=statements)
    renew_maintenance()

    # With both keys Airflow reads what the old one wrote, and writes it again with the new one.
    url = option(text, "sql_alchemy_conn").replace(f":{database.password}@", f":{new['mysql_airflow']}@")
    keys = list(dict.fromkeys([new["fernet_key"], option(text, "fernet_key")]))
    run("/usr/local/sbin/airflow-rotate-fernet-key", text=f"{','.join(keys)}\n{url}\n")

    definitions = json.loads(DEFINITIONS.read_text(encoding="utf-8"))
    for user in definitions["users"]:
        secret = new["rabbitmq_airflow"] if user["name"] == broker.username else new["rabbitmq_admin"]
        user["password_hash"] = rabbitmq_password_hash(secret, user["name"])
    write(DEFINITIONS, json.dumps(definitions, indent=4) + "\n")
    (BROKER_DATA / ".erlang.cookie").unlink(missing_ok=True)

    replaced = [
        (f":{database.password}@", f":{new['mysql_airflow']}@"),
        (f":{broker.password}@", f":{new['rabbitmq_airflow']}@"),
        (option(text, "fernet_key"), new["fernet_key"]),
        (option(text, "secret_key"), new["webserver_secret_key"]),
        (option(text, "jwt_secret"), new["jwt_secret"]),
        (option(text, "flower_basic_auth"), f"{login['user']}:{login['password']}"),
    ]
    write(ADMINISTRATOR, json.dumps(login) + "\n")
    # The configuration last: an interrupted run finds in it what it has to replace.
    for path in (WORKER_ENVIRONMENT, CONFIGURATION):
        text = path.read_text(encoding="utf-8")
        for old, secret in replaced:
            text = text.replace(old, secret)
        write(path, text)

    user = {"name": login["user"], "email": "admin@example.org", "password": login["password"]}
    program = Path(__file__).with_name("administrator.py").read_text(encoding="utf-8")
    run("/usr/local/bin/airflow-exec", "/opt/airflow/bin/python", "-c", program, text=json.dumps(user))


def main() -> None:
    """Renew the secrets if they are another machine's."""
    machine = "".join(path.read_text(encoding="utf-8") for path in MACHINE_IDS if path.exists())
    if DONE_FOR.exists() and DONE_FOR.read_text(encoding="utf-8") == machine:
        return
    new = make()
    renew(new)
    for name in NAMES:
        (CREDENTIALS / f"{name}.next").replace(CREDENTIALS / name)
    write(DONE_FOR, machine)
    print(f"This machine has secrets of its own now: {CREDENTIALS}")


if __name__ == "__main__":
    main()
