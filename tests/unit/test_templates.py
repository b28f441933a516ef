"""What the templates make of awkward values, read as the programs read it that the files are for."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import string
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar, trust_as_template
from cwl_airflow.configuration import read_administrator, read_option
from hypothesis import example, given
from hypothesis import strategies as st
from rabbitmq_password_hash import rabbitmq_password_hash

REPOSITORY = Path(__file__).parents[2]
PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " äß€"
# Secrets come from files, without the blanks at the ends.
PASSWORDS = st.text(PRINTABLE, min_size=1, max_size=20).map(str.strip).filter(bool)
AWKWARD = [
    "100%",
    "%(x)s",
    "%%",
    "$HOME",
    "${HOME}",
    "`id`",
    "$(id)",
    '"',
    "'",
    "\\",
    "\\\\n",
    "a b",
    "#;=:",
    "{{ 1 + 1 }}",
    "{%",
]

init_plugin_loader()
filter_loader.add_directory(str(REPOSITORY / "plugins/filter"))

Values = dict[str, Any]


@cache
def variables(*files: str) -> Values:
    """Return the variables of files, later ones over earlier ones."""
    loader = DataLoader()
    merged: Values = {"ansible_managed": "Ansible managed", "ansible_facts": FACTS}
    for file in files:
        merged |= loader.load_from_file(str(REPOSITORY / file), trusted_as_template=True) or {}
    return merged


FACTS = {
    "distribution": "Debian",
    "distribution_release": "trixie",
    "distribution_version": "13.2",
    "distribution_major_version": "13",
    "python_version": "3.13.5",
    "systemd": {"version": 257},
    "architecture": "x86_64",
}


def evaluate(expression: str, values: Values) -> Any:
    """Return an expression's value."""
    return Templar(loader=DataLoader(), variables=values).evaluate_expression(trust_as_template(expression))


def render(role: str, template: str, **values: Any) -> str:
    """Render a role's template with the role's defaults and variables, as ansible.builtin.template does.

    What is given is not trusted as a template, just like a secret that was read from a file.
    """
    files = [f"roles/{role}/{kind}/main.yml" for kind in ("defaults", "vars")]
    known = variables(*(file for file in files if (REPOSITORY / file).is_file()))
    text = (REPOSITORY / "roles" / role / "templates" / template).read_text(encoding="utf-8")
    templar = Templar(loader=DataLoader(), variables={**known, "role_path": str(REPOSITORY / "roles" / role), **values})
    rendered: str = templar.template(trust_as_template(text), escape_backslashes=False, overrides={"trim_blocks": True})
    return rendered


SECRETS = {
    "airflow_admin_password": "admin",
    "airflow_broker_url": "amqp://",
    "airflow_database_url": "mysql+mysqldb://",
    "airflow_fernet_key": "key",
    "airflow_jwt_secret": "tokens",
    "airflow_webserver_secret_key": "secret",
}


def airflow_cfg(**values: Any) -> configparser.ConfigParser:
    """Render airflow.cfg and read it as Airflow does: with references after `%`."""
    config = configparser.ConfigParser()
    config.read_string(airflow_cfg_text(**values))
    return config


def airflow_cfg_text(options: str = "__airflow_config", **values: Any) -> str:
    """Render airflow.cfg of the options of a variable of the role."""
    return render("airflow", "airflow.cfg.j2", item={"options": airflow_value(options, **values)})


def airflow_environment(name: str = "__airflow_environment", **values: Any) -> str:
    """Render the file of the variables of a variable of the role."""
    return render("airflow", "environment.j2", item={"variables": airflow_value(name, **values)})


def airflow_value(name: str, **values: Any) -> Any:
    """Return what a variable of the role airflow is."""
    files = [f"roles/airflow/{kind}/main.yml" for kind in ("defaults", "vars")]
    return evaluate(name, {**variables(*files), **SECRETS, **values})


@given(PASSWORDS)
@example("%")
@example("%(core)s%%")
@example("#;=[x]")
@example("{{ 1 }}")
def test_any_secret_survives_airflow_cfg(password: str) -> None:
    config = airflow_cfg(
        airflow_webserver_secret_key=password, airflow_jwt_secret=password, airflow_admin_password=password
    )
    assert config.get("api", "secret_key") == config.get("api_auth", "jwt_secret") == password
    assert config.get("celery", "flower_basic_auth") == f"admin:{password}"


@pytest.mark.parametrize("password", [*AWKWARD, "%%%", "%%%%"])
def test_our_checks_read_what_airflow_reads(password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "airflow.cfg"
    path.write_text(airflow_cfg_text(airflow_database_url=password), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(path))
    assert read_option("database", "sql_alchemy_conn") == password
    assert read_option("celery", "result_backend") == f"db+{password}"


@pytest.mark.parametrize("password", AWKWARD)
def test_any_password_reaches_the_commands_of_the_host(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = DataLoader().load_from_file(str(REPOSITORY / "roles/airflow/tasks/configure.yml"), trusted_as_template=True)
    (copied,) = [task["ansible.builtin.copy"] for task in tasks if "administrator's login" in task["name"]]
    values = {"airflow_admin_user": "a.b@c", "airflow_admin_password": password}
    content = Templar(loader=DataLoader(), variables=values).template(copied["content"])
    file = airflow_value(copied["dest"].strip("{} "))
    (tmp_path / Path(file).name).write_text(content, encoding="utf-8")
    monkeypatch.setenv("AIRFLOW_CONFIG", str(tmp_path / "airflow.cfg"))
    assert (Path(file).parent, read_administrator()) == (Path("/etc/airflow"), ("a.b@c", password))


WIRED = ("wiring/services.yml", "wiring/proxy.yml", "wiring/cluster.yml")
WIRING = (*(str(path) for path in REPOSITORY.glob("roles/*/defaults/main.yml")), *WIRED)
HOST = {
    "inventory_hostname": "host",
    "group_names": ["database", "broker"],
    "groups": {"database": ["host"], "broker": ["host"]},
    "hostvars": {"host": {"ansible_host": "192.0.2.1"}},
}


def airflow_url(name: str, **values: Any) -> str:
    """Return a URL of the wiring as Airflow gets it through airflow.cfg."""
    url = evaluate(name, {**variables(*WIRING), **HOST, **values})
    return airflow_cfg(**{name: url}).get(
        *{"airflow_database_url": ("database", "sql_alchemy_conn")}.get(name, ("celery", "broker_url"))
    )


@given(PASSWORDS)
@example("a/b")
@example("100%25")
@example("p@ss:w?rd#")
def test_any_password_survives_the_database_url(password: str) -> None:
    url = urlsplit(airflow_url("airflow_database_url", mysql_airflow_password=password))
    assert (url.hostname, url.port, url.path) == ("127.0.0.1", 3306, "/airflow")
    assert (url.username, unquote(url.password or "")) == ("airflow", password)


@given(PASSWORDS)
@example("a/b")
@example("100%25")
@example("p@ss:w?rd#")
def test_any_password_survives_the_broker_url(password: str) -> None:
    url = urlsplit(airflow_url("airflow_broker_url", rabbitmq_airflow_password=password))
    assert (url.hostname, url.port, url.path) == ("127.0.0.1", 5672, "/airflow")
    assert (url.username, unquote(url.password or "")) == ("airflow", password)


@pytest.mark.parametrize("vhost", ["airflow", "/", "a/b", "a b", "50%"])
def test_any_virtual_host_survives_the_broker_url(vhost: str) -> None:
    """One slash ends the address, the rest is the name: https://www.rabbitmq.com/docs/uri-spec#the-amqp-uri-scheme."""
    url = airflow_url("airflow_broker_url", rabbitmq_airflow_password="x", rabbitmq_airflow_vhost=vhost)
    assert unquote(urlsplit(url).path[1:]) == vhost


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8081"),
        ("10.0.0.0", "http://10.0.0.0:8081"),
        ("::", "http://[::1]:8081"),
        ("2001:db8::1", "http://[2001:db8::1]:8081"),
        ("host.example.org", "http://host.example.org:8081"),
    ],
)
def test_the_cwl_api_is_asked_where_it_listens(host: str, url: str) -> None:
    assert evaluate("cwl_api_url", {**variables(*WIRING), **HOST, "cwl_airflow_api_host": host}) == url


def test_the_result_backend_is_the_same_database() -> None:
    config = airflow_cfg(airflow_database_url="mysql+mysqldb://airflow:p%25@127.0.0.1/airflow")
    assert config.get("celery", "result_backend") == "db+mysql://airflow:p%25@127.0.0.1/airflow"


@pytest.mark.parametrize("value", AWKWARD)
def test_options_of_the_site_survive_airflow_cfg(value: str) -> None:
    assert airflow_cfg(airflow_config={"site": {"option": value}}).get("site", "option") == value


def test_options_of_the_site_win_over_layers_and_layers_over_defaults() -> None:
    config = airflow_cfg(
        airflow_config_layers=[{"core": {"parallelism": 1, "load_examples": True}}, {"cwl": {"tmp_folder": "/t"}}],
        airflow_config={"core": {"parallelism": 2}},
    )
    assert config.getint("core", "parallelism") == 2
    assert config.getboolean("core", "load_examples") is True
    assert config.get("core", "executor") == "CeleryExecutor"
    assert config.get("cwl", "tmp_folder") == "/t"


def shell(folder: Path, text: str, name: str) -> str:
    """Return a variable of an environment file as a POSIX shell reads it, and refuse anything else that it does."""
    path = folder / "environment"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["sh", "-euc", f'. "$0"; printf "%s" "${{{name}}}"', str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
        cwd=folder,
    )
    assert done.stderr == ""
    return done.stdout


@given(value=st.text(PRINTABLE, max_size=20))
@example(value="\\")
@example(value="$(touch made)`touch made`")
@example(value='a"; touch made; "')
@example(value="\\\\1")
def test_any_value_survives_the_environment_file(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = airflow_environment(airflow_environment={"SITE_VALUE": value})
    assert shell(folder, text, "SITE_VALUE") == value
    assert not (folder / "made").exists()


@pytest.mark.parametrize(("value", "read"), [(8080, "8080"), (True, "True"), ("", ""), (0.5, "0.5")])
def test_numbers_survive_the_environment_file(tmp_path: Path, value: Any, read: str) -> None:
    text = airflow_environment(airflow_environment={"SITE_VALUE": value})
    assert shell(tmp_path, text, "SITE_VALUE") == read


def test_the_environment_leads_to_the_configuration(tmp_path: Path) -> None:
    text = airflow_environment()
    assert shell(tmp_path, text, "AIRFLOW_CONFIG") == "/etc/airflow/airflow.cfg"
    assert shell(tmp_path, text, "AIRFLOW_HOME") == "/var/lib/airflow"


@given(PASSWORDS)
@example("100%(x)s")
@example('$HOME`id`"\\')
def test_the_worker_has_its_secrets_in_its_environment_alone(password: str) -> None:
    values = {name: f"{password}-{name}" for name in SECRETS}
    file = airflow_cfg_text("__airflow_worker_config", **values)
    assert not any(value in file.replace("%%", "%") for value in values.values())
    assert "flower_basic_auth" not in file
    variables = airflow_value("__airflow_worker_environment", **values)
    assert variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == values["airflow_database_url"]
    assert variables["AIRFLOW__API__SECRET_KEY"] == values["airflow_webserver_secret_key"]
    for name in ("airflow_fernet_key", "airflow_jwt_secret", "airflow_admin_password"):
        assert values[name] not in map(str, variables.values())
    assert "FLOWER_BASIC_AUTH" not in "".join(variables)


def test_a_sites_own_secrets_are_kept_from_tasks() -> None:
    values = {"airflow_config": {"opensearch": {"password": "hush", "host": "192.0.2.1"}}}
    file = airflow_cfg_text("__airflow_worker_config", **values)
    assert "hush" not in file
    assert "host = 192.0.2.1" in file
    assert airflow_value("__airflow_worker_environment", **values)["AIRFLOW__OPENSEARCH__PASSWORD"] == "hush"


def test_a_section_with_secrets_alone_stays_in_the_workers_file() -> None:
    # Airflow reads variables of such a section only if its file has it.
    section = "celery_broker_transport_options"
    values = {"airflow_config": {section: {"sentinel_kwargs": '{"password": "hush"}'}}}
    file = configparser.ConfigParser()
    file.read_string(airflow_cfg_text("__airflow_worker_config", **values))
    assert dict(file[section]) == {}
    variables = airflow_value("__airflow_worker_environment", **values)
    assert variables["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__SENTINEL_KWARGS"] == '{"password": "hush"}'


def test_only_the_worker_sees_less() -> None:
    for service in SERVICES:
        settings = unit(render("airflow", "unit.service.j2", item=service))
        worker = service == "worker"
        assert settings["EnvironmentFile"][1:] == (["/etc/airflow/worker.env"] if worker else [])
        assert settings["ProtectProc"] == ["default" if worker else "invisible"]
        assert settings["PrivateUsers"] == ["true"]


def test_a_unit_gets_its_credentials() -> None:
    units = {"site": {"description": "Site", "command": "airflow site", "credentials": {"key": "hush"}}}
    text = render("airflow", "unit.service.j2", item="site", airflow_extra_units=units)
    assert unit(text)["LoadCredential"] == ["key:/etc/airflow/credentials/site.key"]
    assert "hush" not in text
    of_host = airflow_value(
        "__airflow_unit_credentials", airflow_extra_units=units, airflow_services=["site", "worker"]
    )
    assert of_host == [{"name": "site.key", "value": "hush"}]
    of_others = airflow_value("__airflow_unit_credentials", airflow_extra_units=units, airflow_services=["worker"])
    assert of_others == []


@pytest.mark.parametrize("password", AWKWARD)
@pytest.mark.parametrize(
    ("url", "secret", "name"),
    [
        ({"airflow_ldap_url": "ldaps://ldap.example.org"}, "airflow_ldap_bind_password", "ldap_bind_password"),
        ({"airflow_oidc_url": "https://sso.example.org"}, "airflow_oidc_client_secret", "oidc_client_secret"),
    ],
)
def test_only_services_that_take_logins_get_the_secret_for_them(
    url: dict[str, str], secret: str, name: str, password: str
) -> None:
    services = ["webserver", "worker", "flower", "scheduler", "cwl-api", "cwl-reports"]
    values = site(**url, **{secret: password}, airflow_login_default_role="Viewer", airflow_services=services)
    given = evaluate("__airflow_unit_credentials", values)
    assert given == [{"name": f"{unit}.{name}", "value": password} for unit in ("webserver", "cwl-api")]
    for service in services:
        settings = unit(render("airflow", "unit.service.j2", item=service, **values))
        file = [f"{name}:/etc/airflow/credentials/{service}.{name}"]
        assert settings.get("LoadCredential", []) == (file if service in ("webserver", "cwl-api") else [])
        assert ("720" in str(settings.get("Environment"))) == (service == "webserver")
    given = {**values, "airflow_config": {"fab": {"session_max_lifetime_minutes": 60}}}
    own = render("airflow", "unit.service.j2", item="webserver", **given)
    assert "720" not in own
    told = evaluate("__airflow_logins", values)
    assert told["default_role"] == "Viewer"
    assert password not in (told.get("ldap") or told["oidc"]).values()


def test_without_a_directory_or_provider_nobody_needs_one() -> None:
    values = site(airflow_services=["webserver", "cwl-api"], airflow_ldap_bind_password="kept-for-later")
    assert evaluate("__airflow_logins", values) == {}
    assert evaluate("__airflow_unit_credentials", values) == []
    assert "720" not in render("airflow", "unit.service.j2", item="webserver", **values)


MAIL = {
    "cwl_airflow_mail_to": ["ann@example.org"],
    "cwl_airflow_mail_from": "cwl@example.org",
    "cwl_airflow_mail_server": "mail.example.org",
    "cwl_airflow_mail_user": "cwl",
    "site_name": "mylab",
}


@pytest.mark.parametrize("password", AWKWARD)
def test_only_the_service_that_mails_gets_the_password(password: str) -> None:
    values = site(**MAIL, cwl_airflow_mail_password=password, airflow_services=["cwl-reports", "cwl-api", "worker"])
    (given,) = evaluate("__airflow_unit_credentials", values)
    assert given["name"] == "cwl-reports.notices"
    mail = {"to": ["ann@example.org"], "sender": "cwl@example.org", "server": "mail.example.org", "port": 587}
    mail |= {"security": "starttls", "user": "cwl", "password": password}
    assert json.loads(given["value"]) == {"site": "mylab", "report": False, "mail": mail}
    settings = unit(render("airflow", "unit.service.j2", item="cwl-reports", **values))
    assert settings["LoadCredential"] == ["notices:/etc/airflow/credentials/cwl-reports.notices"]


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("none", 25)])
def test_mails_go_to_the_usual_port(security: str, port: int) -> None:
    values = site(**MAIL, cwl_airflow_mail_security=security)
    assert evaluate("__cwl_airflow_notices.mail.port", values) == port
    assert evaluate("__cwl_airflow_notices.mail.port", {**values, "cwl_airflow_mail_port": 2525}) == 2525


def test_nothing_is_told_unless_it_is_asked_for() -> None:
    assert evaluate("cwl_airflow_units['cwl-reports'].credentials", site(site_name="mylab")) == {}
    told = evaluate("cwl_airflow_units['cwl-reports'].credentials", site(site_name="x", cwl_airflow_report_site=True))
    assert json.loads(told["notices"]) == {"site": "x", "report": True, "mail": None}


def unit(text: str) -> dict[str, list[str]]:
    """Return the settings of a unit file, each with its values in order."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", ";", "[")):
            name, separator, value = line.partition("=")
            assert separator and name.isalnum(), line
            settings.setdefault(name, []).append(value)
    return settings


def words(value: str) -> list[str]:
    """Split a unit's setting into words and resolve `%%`, as systemd does (systemd.syntax(7), systemd.unit(5))."""
    assert "%" not in value.replace("%%", ""), f"systemd reads a specifier in {value}"
    return [word.replace("%%", "%") for word in shlex.split(value)]


SERVICES = ["webserver", "scheduler", "dag-processor", "triggerer", "worker", "flower"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_unit_runs_its_service_as_airflow(service: str) -> None:
    settings = unit(render("airflow", "unit.service.j2", item=service, airflow_worker_groups=["docker"]))
    assert settings["User"] == ["airflow"]
    assert settings["Group"] == ["airflow-worker" if service == "worker" else "airflow"]
    assert settings["EnvironmentFile"][0] == "/etc/default/airflow"
    command = words(settings["ExecStart"][0])
    assert command[0] == f"/opt/airflow/bin/{'celery' if service == 'flower' else 'airflow'}"
    assert {"webserver": "api-server"}.get(service, service) in command
    assert settings.get("Alias", []) == (["airflow-api-server.service"] if service == "webserver" else [])
    assert settings["RuntimeDirectory"] == [f"airflow-{service}"]
    assert ("SupplementaryGroups" in settings) == (service == "worker")


@pytest.mark.parametrize("service", [*SERVICES, "cwl-api", "cwl-reports"])
def test_a_service_that_hangs_is_killed_where_a_watchdog_asks(service: str) -> None:
    settings = unit(render("airflow", "unit.service.j2", item=service, **site(airflow_watchdog_seconds=60)))
    assert settings.get("WatchdogSec") == (None if service == "flower" else ["600"])
    assert settings.get("WatchdogSignal") == (None if service == "flower" else ["SIGKILL"])
    # A task of a worker could say that its worker is alive.
    assert settings.get("NotifyAccess", ["none"]) == [{"worker": "main", "flower": "none"}.get(service, "all")]
    assert "WatchdogSec" not in unit(
        render("airflow", "unit.service.j2", item=service, **site(airflow_watchdog_seconds=0))
    )


@pytest.mark.parametrize(("days", "groups"), [(0, None), (30, ["docker"])])
def test_what_a_timer_starts_ends_and_is_in_no_group_that_it_does_not_need(days: int, groups: list[str] | None) -> None:
    settings = unit(render("airflow", "unit.service.j2", item="cwl-tidy", **site(cwl_airflow_tidy_images_days=days)))
    assert settings["Type"] == ["oneshot"]
    assert settings.get("SupplementaryGroups") == groups
    by_hand = render("airflow", "command.j2", item="cwl-airflow-tidy", **site(cwl_airflow_tidy_images_days=days))
    assert re.findall("^export SUPPLEMENTARY_GROUPS=(.*)$", by_hand, flags=re.MULTILINE) == (groups or [])
    assert int(settings["TimeoutStartSec"][0]) > 0
    assert {"Restart", "WatchdogSec", "WantedBy", "Alias"} & set(settings) == set()
    without_engine = site(cwl_airflow_tidy_images_days=days, cwl_airflow_engine_group="")
    assert "SupplementaryGroups" not in unit(render("airflow", "unit.service.j2", item="cwl-tidy", **without_engine))
    config = configparser.ConfigParser()
    config.read_string(
        render("airflow", "airflow.cfg.j2", item={"options": evaluate("__airflow_config", without_engine)})
    )
    assert config.getint("cwl", "tidy_images_days") == 0


def test_a_timer_comes_at_the_sites_time() -> None:
    settings = unit(render("airflow", "unit.timer.j2", item="cwl-tidy", **site(cwl_airflow_tidy_calendar="Sun 04:00")))
    assert settings["OnCalendar"] == ["Sun 04:00"]
    assert settings["WantedBy"] == ["timers.target"]


def test_systemd_accepts_the_timer(tmp_path: Path) -> None:
    (tmp_path / "airflow-cwl-tidy.service").write_text(
        "[Service]\nType=oneshot\nExecStart=/bin/true\n", encoding="utf-8"
    )
    path = tmp_path / "airflow-cwl-tidy.timer"
    path.write_text(render("airflow", "unit.timer.j2", item="cwl-tidy", **site()), encoding="utf-8")
    assert complaints(path) == []


@pytest.mark.parametrize("service", [*SERVICES, "cwl-api", "cwl-reports", "cwl-tidy"])
def test_systemd_accepts_the_unit(tmp_path: Path, service: str) -> None:
    path = tmp_path / f"airflow-{service}.service"
    report = {f"cwl_airflow_report_{name}": name for name in ("url", "algorithm", "private_key")}
    values = site(**report)
    # As on this machine, whose systemd looks at it.
    values["ansible_facts"] = FACTS | {"systemd": {"version": systemd_version()}}
    text = render("airflow", "unit.service.j2", item=service, **values)
    assert ("LoadCredential" in text) == (service == "cwl-reports")
    # What is not on this machine: the program, its user and its files.
    text = re.sub("ExecStart=/opt/airflow/bin/[a-z-]+", "ExecStart=/bin/true", text)
    text = text.replace("EnvironmentFile=/", "EnvironmentFile=-/")
    path.write_text(text, encoding="utf-8")
    assert complaints(path) == []


def systemd_version() -> int:
    """Return the version of this machine's systemd."""
    done = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[1])


def complaints(path: Path) -> list[str]:
    """Return what systemd says of a unit."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in done.stderr.splitlines() if path.name in line]


def test_the_worker_listens_to_its_queues() -> None:
    settings = unit(render("airflow", "unit.service.j2", item="worker", airflow_worker_queues=["default", "big"]))
    command = words(settings["ExecStart"][0])
    assert command[command.index("--queues") + 1] == "default,big"


SIZES = {"small": {"processor_vcpus": 2, "memtotal_mb": 8000}, "large": {"processor_vcpus": 16, "memtotal_mb": 64000}}


def site(host: str = "small", **values: Any) -> Values:
    """Return the variables of a host of a site with two workers, by the roles' defaults and the wiring."""
    files = [f"roles/{role}/vars/main.yml" for role in ("airflow", "cwl_airflow")]
    known = {"airflow_webserver_port": 8080, "host_address": values.get("site_address", "192.0.2.1")}
    hostvars = {name: {"ansible_facts": facts, **known, **values} for name, facts in SIZES.items()}
    groups = {name: ["small"] for name in ("database", "broker", "webserver", "scheduler")} | {"worker": list(SIZES)}
    known = {**variables(*files, *WIRING), "groups": groups, "hostvars": hostvars, "inventory_hostname": host}
    return {**known, **SECRETS, "ansible_facts": FACTS | SIZES[host], **values}


@pytest.mark.parametrize(("host", "slots"), [("small", 4), ("large", 18)])
def test_a_worker_serves_all_queues_with_as_many_tasks_as_fit(host: str, slots: int) -> None:
    settings = unit(render("airflow", "unit.service.j2", item="worker", **site(host)))
    command = words(settings["ExecStart"][0])
    assert command[command.index("--queues") + 1] == "default,advanced"
    assert command[command.index("--concurrency") + 1] == str(slots)
    config = configparser.ConfigParser()
    config.read_string(render("airflow", "airflow.cfg.j2", item={"options": evaluate("__airflow_config", site(host))}))
    assert config.getint("celery", "worker_concurrency") == slots
    assert config.getint("cwl", "worker_slots") == 4 + 18


@pytest.mark.parametrize("host", SIZES)
def test_the_advanced_queue_has_the_size_of_the_largest_worker(host: str) -> None:
    queues = evaluate("cwl_airflow_queues", site(host))
    assert queues == {"default": {"cpus": 1, "ram": 1024}, "advanced": {"cpus": 16, "ram": 57600}}


@pytest.mark.parametrize(("host", "address"), [("small", "http://127.0.0.1"), ("large", "https://192.0.2.20")])
def test_tasks_reach_the_api_server(host: str, address: str) -> None:
    values = site(host, site_address="192.0.2.20")
    config = configparser.ConfigParser()
    config.read_string(render("airflow", "airflow.cfg.j2", item={"options": evaluate("__airflow_config", values)}))
    assert config.get("core", "execution_api_server_url") == f"{address}:8080/execution/"
    # By itself, the role asks the host's own.
    assert airflow_cfg().get("core", "execution_api_server_url") == "http://127.0.0.1:8080/execution/"


def test_a_host_alone_has_nothing_for_others() -> None:
    alone = {**variables(*WIRING), **HOST}
    assert {
        name: evaluate(name, alone)
        for name in ("site_encrypted", "firewall_enabled", "mysql_bind_address", "mysql_airflow_remote_hosts")
    } == {
        "site_encrypted": False,
        "firewall_enabled": False,
        "mysql_bind_address": "127.0.0.1",
        "mysql_airflow_remote_hosts": [],
    }
    for name in ("proxy_internal_services", "rabbitmq_tls_bind_addresses", "storage_folders", "__site_config"):
        assert not evaluate(name, alone), name


@pytest.mark.parametrize(
    ("groups", "services"),
    [
        (["scheduler", "webserver"], ["webserver", "scheduler", "dag-processor", "triggerer", "cwl-reports"]),
        (["cwl_api", "worker", "flower"], ["worker", "flower", "cwl-api", "cwl-reports"]),
    ],
)
def test_groups_ask_for_services(groups: list[str], services: list[str]) -> None:
    assert evaluate("airflow_services", site(group_names=groups)) == services


def test_no_option_of_ours_is_one_that_airflow_removed() -> None:
    values = site(role_path=str(REPOSITORY / "roles/airflow"))
    expression = "__airflow_config | removed_options(__airflow_removed_options, {})"
    assert evaluate(expression, values) == []


def test_what_the_site_says_of_queues_and_workers_wins() -> None:
    queues = {"default": {"cpus": 1, "ram": 512}, "big": {"cpus": 2, "ram": 4000}}
    values = site(cwl_airflow_queues=queues, airflow_worker_queues=["big"], airflow_worker_concurrency=7)
    command = words(unit(render("airflow", "unit.service.j2", item="worker", **values))["ExecStart"][0])
    assert command[command.index("--queues") + 1] == "big"
    assert command[command.index("--concurrency") + 1] == "7"
    assert evaluate("airflow_config_layers[0].cwl.worker_slots", values) == 7 + 7
    many = site(airflow_worker_concurrency=70)
    core = evaluate("__airflow_config.core", many)
    assert (core["parallelism"], core["max_active_tasks_per_dag"]) == (140, 140), "Airflow holds up no worker"
    assert [evaluate("mysql_max_connections", each) for each in (site(), many)] == [200, 300]
    of_queue = site(cwl_airflow_queues=queues, airflow_worker_queues=["big"])
    assert evaluate("airflow_worker_concurrency", of_queue) == 1


def test_only_services_that_compile_code_may_run_it() -> None:
    may = {service for service in SERVICES if "MemoryDenyWriteExecute" not in unit(_plain_unit(service))}
    assert may == {"worker"}


def _plain_unit(service: str) -> str:
    return render("airflow", "unit.service.j2", item=service)


@pytest.mark.parametrize(("version", "grows"), [(252, False), (253, False), (254, True), (257, True)])
def test_growing_pauses_need_systemd_254(version: int, grows: bool) -> None:
    facts = FACTS | {"systemd": {"version": version}}
    assert ("RestartSteps" in unit(render("airflow", "unit.service.j2", item="flower", ansible_facts=facts))) == grows


@pytest.mark.parametrize("path", ["/data/lab", "/data/two words", "/data/50%", "/data/a'b"])
def test_a_unit_may_write_where_it_is_told(path: str) -> None:
    settings = unit(render("airflow", "unit.service.j2", item="worker", airflow_writable_paths=[path]))
    assert words(settings["ReadWritePaths"][0]) == ["/var/lib/airflow", path]
    assert settings["ProtectHome"] == ["true"]


@pytest.mark.parametrize("path", ["/home/lab", "/home/lab/two words", "/root", "/run/user/1000/50%"])
def test_a_unit_sees_the_homes_that_it_is_told(path: str) -> None:
    readable = unit(render("airflow", "unit.service.j2", item="worker", airflow_readable_paths=[path]))
    assert readable["ProtectHome"] == ["tmpfs"]
    assert words(readable["BindReadOnlyPaths"][0]) == [path]
    writable = unit(render("airflow", "unit.service.j2", item="worker", airflow_writable_paths=[path]))
    assert writable["ProtectHome"] == ["tmpfs"]
    assert words(writable["BindPaths"][0]) == [path]


def test_other_folders_need_no_homes() -> None:
    settings = unit(render("airflow", "unit.service.j2", item="worker", airflow_readable_paths=["/homes/lab"]))
    assert settings["ProtectHome"] == ["true"]


@pytest.mark.parametrize("value", ["plain", "two words", "100%", 'a"b', "back\\slash"])
def test_a_units_own_environment_survives(value: str) -> None:
    units = {"site": {"description": "Site", "command": "airflow site", "environment": {"SITE_VALUE": value}}}
    settings = unit(render("airflow", "unit.service.j2", item="site", airflow_extra_units=units))
    assert words(settings["Environment"][0]) == [f"SITE_VALUE={value}"]


def test_the_engine_looks_for_javascript_where_its_unit_listens() -> None:
    config = configparser.ConfigParser()
    config.read_string(render("airflow", "airflow.cfg.j2", item={"options": evaluate("__airflow_config", site())}))
    (address,) = unit(render("cwl_airflow", "javascript.socket.j2"))["ListenStream"]
    assert config.get("cwl", "javascript_socket") == address
    assert Path(address).name == "airflow-cwl-javascript.socket"  # the engine says so if nobody answers


def test_the_unit_of_javascript_runs_the_script_of_the_release() -> None:
    settings = unit(render("cwl_airflow", "javascript@.service.j2"))
    paths = words(" ".join(settings["BindReadOnlyPaths"]))
    script = paths[-1].removeprefix("/opt/airflow/lib/python3.13/site-packages/").removesuffix(":/javascript.js")
    assert (REPOSITORY / "cwl_airflow/src" / script).is_file()
    command = words(settings["ExecStart"][0])
    assert (command[0], command[-1]) == ("/usr/bin/node", "/javascript.js")
    assert not any(path.startswith(("/etc", "/var", "/run")) for path in paths)
    assert {"User", "Group", "SupplementaryGroups", "EnvironmentFile"} & set(settings) == set()


@pytest.mark.parametrize("suffix", [".socket", "@.service"])
def test_systemd_accepts_the_units_of_javascript(tmp_path: Path, suffix: str) -> None:
    for each in (".socket", "@.service"):
        (tmp_path / f"airflow-cwl-javascript{each}").write_text(
            render("cwl_airflow", f"javascript{each}.j2").replace("SocketUser=airflow", "SocketUser=root"),
            encoding="utf-8",
        )
    assert complaints(tmp_path / f"airflow-cwl-javascript{suffix}") == []


@pytest.mark.parametrize(
    ("groups", "runs"), [(["worker"], True), (["flower", "cwl_api"], True), (["webserver"], False)]
)
def test_javascript_runs_where_documents_are_read(groups: list[str], runs: bool) -> None:
    assert evaluate("cwl_airflow_javascript", site(group_names=groups)) is runs


PROXY = "http://user:p%40ss%25@proxy.example.org:3128"


def test_a_proxy_with_a_percent_encoded_password_survives() -> None:
    settings = unit(render("docker", "proxy.conf.j2", docker_http_proxy=PROXY, docker_https_proxy=""))
    assert [words(value) for value in settings["Environment"]] == [
        [f"HTTP_PROXY={PROXY}"],
        ["NO_PROXY=localhost,127.0.0.1"],
    ]


def test_without_proxy_the_engine_gets_none() -> None:
    assert "Environment" not in unit(render("docker", "proxy.conf.j2"))


RABBITMQ_SECRETS = {"rabbitmq_admin_password": "admin-secret", "rabbitmq_airflow_password": "airflow-secret"}


@given(PASSWORDS, PASSWORDS)
@example('"', "\\")
def test_any_password_gets_into_the_definitions(admin: str, airflow: str) -> None:
    text = render("rabbitmq", "definitions.json.j2", rabbitmq_admin_password=admin, rabbitmq_airflow_password=airflow)
    hashes = {user["name"]: user["password_hash"] for user in json.loads(text)["users"]}
    assert hashes == {
        "admin": rabbitmq_password_hash(admin, "admin"),
        "airflow": rabbitmq_password_hash(airflow, "airflow"),
    }


def test_the_definitions_hold_no_password_in_clear_text() -> None:
    text = render("rabbitmq", "definitions.json.j2", **RABBITMQ_SECRETS)
    assert not any(secret in text for secret in RABBITMQ_SECRETS.values())


@pytest.mark.parametrize("name", ["airflow", "two words", 'a"b', "50%", "/"])
def test_the_definitions_give_each_user_what_it_needs(name: str) -> None:
    definitions = json.loads(
        render(
            "rabbitmq",
            "definitions.json.j2",
            rabbitmq_airflow_user=name,
            rabbitmq_airflow_vhost="v" + name,
            **RABBITMQ_SECRETS,
        )
    )
    assert [user["name"] for user in definitions["users"]] == ["admin", name]
    assert [user["tags"] for user in definitions["users"]] == [["administrator"], []]
    assert {vhost["name"] for vhost in definitions["vhosts"]} == {"/", "v" + name}
    rights = {(right["user"], right["vhost"]) for right in definitions["permissions"]}
    assert rights == {("admin", "/"), ("admin", "v" + name), (name, "v" + name)}


def test_the_definitions_have_a_guest_only_where_it_may_log_in_from_anywhere() -> None:
    definitions = json.loads(render("rabbitmq", "definitions.json.j2", rabbitmq_loopback_users=[], **RABBITMQ_SECRETS))
    assert "guest" in [user["name"] for user in definitions["users"]]


def rabbitmq_conf(**values: Any) -> dict[str, str]:
    """Render rabbitmq.conf and read it: lines of name, `=` and value, of which the last one counts."""
    lines = render("rabbitmq", "rabbitmq.conf.j2", **values).splitlines()
    pairs = [line.partition(" = ") for line in lines if line and not line.startswith("#")]
    assert all(separator for _, separator, _ in pairs)
    return {name: value for name, _, value in pairs}


def test_the_broker_listens_on_loopback_and_reads_its_definitions() -> None:
    conf = rabbitmq_conf()
    assert conf["listeners.tcp.default"] == "127.0.0.1:5672"
    assert conf["management.tcp.ip"] == "127.0.0.1"
    assert conf["loopback_users.1"] == "guest"
    assert conf["load_definitions"] == "/etc/rabbitmq/definitions.json"


def test_the_broker_listens_elsewhere_over_tls_only() -> None:
    conf = rabbitmq_conf(rabbitmq_tls_bind_addresses=["192.0.2.21"])
    assert {name: value for name, value in conf.items() if name.startswith("listeners")} == {
        "listeners.tcp.default": "127.0.0.1:5672",
        "listeners.ssl.1": "192.0.2.21:5671",
    }
    assert conf["ssl_options.keyfile"] == "/etc/rabbitmq/tls/host.key"
    assert not [name for name in rabbitmq_conf() if "ssl" in name]


def test_users_may_log_in_from_anywhere_when_none_is_bound_to_loopback() -> None:
    conf = rabbitmq_conf(rabbitmq_loopback_users=[])
    assert [name for name in conf if name.startswith("loopback_users")] == ["loopback_users"]
    assert conf["loopback_users"] == "none"


def test_further_settings_reach_the_broker() -> None:
    assert rabbitmq_conf(rabbitmq_extra_settings={"log.console": "true"})["log.console"] == "true"


def test_a_further_setting_replaces_ours() -> None:
    assert rabbitmq_conf(rabbitmq_extra_settings={"consumer_timeout": 60000})["consumer_timeout"] == "60000"


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.7"])
def test_erlang_gets_its_address_as_a_tuple(tmp_path: Path, address: str) -> None:
    text = render("rabbitmq", "rabbitmq-env.conf.j2", rabbitmq_distribution_bind_address=address)
    tuple_ = "{" + address.replace(".", ",") + "}"
    assert shell(tmp_path, text, "SERVER_ADDITIONAL_ERL_ARGS") == f"-kernel inet_dist_use_interface {tuple_}"
    assert shell(tmp_path, text, "NODENAME") == "rabbit@localhost"
    assert shell(tmp_path, text, "ERL_EPMD_ADDRESS") == address


def test_epmd_listens_on_one_address_only() -> None:
    settings = unit(render("rabbitmq", "epmd.conf.j2", rabbitmq_distribution_bind_address="192.0.2.7"))
    assert settings == {"ListenStream": ["", "192.0.2.7:4369"]}


def test_the_broker_gets_its_limit_and_its_plugin() -> None:
    assert unit(render("rabbitmq", "airflow.conf.j2", rabbitmq_open_files=99)) == {"LimitNOFILE": ["99"]}
    assert render("rabbitmq", "enabled_plugins.j2").strip() == "[rabbitmq_management]."


def mysqld(**values: Any) -> dict[str, str | None]:
    """Render the server's settings and read them as an option file."""
    config = configparser.RawConfigParser(allow_no_value=True)
    config.read_string(render("mysql", "airflow.cnf.j2", **values))
    assert config.sections() == ["mysqld"]
    return dict(config["mysqld"])


def test_the_database_gets_what_airflow_asks_for() -> None:
    settings = mysqld(mysql_innodb_buffer_pool_size=512)
    assert settings["bind_address"] == "127.0.0.1"
    assert settings["explicit_defaults_for_timestamp"] == "ON"
    assert settings["innodb_buffer_pool_size"] == "512M"
    assert settings["character_set_server"] == "utf8mb4"


def test_settings_of_the_site_win_over_ours() -> None:
    settings = mysqld(mysql_extra_settings={"max_connections": 7, "slow_query_log": "ON"})
    assert settings["max_connections"] == "7"
    assert settings["slow_query_log"] == "ON"


def test_the_database_refuses_plain_text_where_it_has_a_certificate() -> None:
    settings = mysqld(mysql_tls_certificate_file="/etc/ssl/site/host.pem")
    assert settings["require_secure_transport"] == "ON"
    assert settings["ssl_cert"] == "/etc/mysql/tls/host.pem"
    assert not [name for name in mysqld() if "ssl" in name or "secure" in name]


def test_only_one_protocol_listens() -> None:
    assert mysqld()["loose_mysqlx"] == "OFF"


def test_binary_log_is_off_or_ends() -> None:
    assert mysqld()["skip_log_bin"] is None
    kept = mysqld(mysql_binary_log_days=7)
    assert kept["binlog_expire_logs_seconds"] == "604800"
    assert "skip_log_bin" not in kept


def settings_lines(text: str) -> list[str]:
    """Return the lines that are no comments."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def sshd(options: Values) -> dict[str, str]:
    """Return the options that sshd gets, each of which stands there once."""
    lines = settings_lines(render("base", "sshd.conf.j2", base_sshd_options=options))
    settings = dict(line.split(" ", 1) for line in lines)
    assert len(settings) == len({name.lower() for name in settings}) == len(lines)
    return settings


def test_sshd_gets_yes_and_no() -> None:
    settings = sshd({"AllowGroups": "lab admins", "MaxAuthTries": 3, "PermitTTY": True})
    assert settings["AllowGroups"] == "lab admins"
    assert settings["MaxAuthTries"] == "3"
    assert settings["PermitTTY"] == "yes"
    assert settings["PasswordAuthentication"] == settings["X11Forwarding"] == "no"


def test_options_of_the_site_replace_those_of_the_role_one_by_one() -> None:
    ours = sshd({})
    assert sshd({"passwordauthentication": True}) == {
        **{name: value for name, value in ours.items() if name != "PasswordAuthentication"},
        "passwordauthentication": "yes",
    }
    assert sshd({"Ciphers": None}) == {name: value for name, value in ours.items() if name != "Ciphers"}


@pytest.mark.parametrize(
    ("options", "takes"),
    [
        ({}, False),
        ({"passwordauthentication": "yes"}, True),
        ({"KbdInteractiveAuthentication": True}, True),
        ({"PasswordAuthentication": "no"}, False),
    ],
)
def test_whether_sshd_takes_passwords(options: Values, takes: bool) -> None:
    known = variables("roles/base/defaults/main.yml", "roles/base/vars/main.yml")
    assert evaluate("__base_sshd_passwords", {**known, "base_sshd_options": options}) is takes


def kernel(settings: Values) -> dict[str, str]:
    """Return the kernel settings of a host, none of which may fail."""
    lines = settings_lines(render("hardening", "sysctl.conf.j2", hardening_sysctl=settings))
    assert all(line.startswith("-") for line in lines)
    return dict(line.removeprefix("-").split(" = ") for line in lines)


def test_kernel_settings_of_the_site_replace_those_of_the_role_one_by_one() -> None:
    ours = kernel({})
    assert not [name for name in ours if "forward" in name]  # containers need it
    without = {name: value for name, value in ours.items() if name != "kernel.sysrq"}
    assert kernel({"kernel.sysrq": None, "vm.swappiness": 10}) == {**without, "vm.swappiness": "10"}
    assert kernel({"kernel.sysrq": 176}) == {**without, "kernel.sysrq": "176"}


def test_only_what_interrupts_no_run_is_upgraded_by_itself() -> None:
    text = render("hardening", "upgrades.conf.j2", hardening_security_upgrades_except=["^docker", "^python3[.]"])
    assert '  "^docker";\n  "^python3[.]";\n' in text
    assert 'Automatic-Reboot "false"' in text


def firewall(**values: Any) -> str:
    """Render the rules of containers, one blank between words."""
    return " ".join(render("docker", "container-firewall.nft.j2", **values).split())


def test_each_bridge_of_containers_is_closed() -> None:
    text = firewall(docker_daemon_options={"bridge": "lab0"})
    for bridge in ("docker0", "br-*", "lab0"):
        assert f'iifname "{bridge}" jump host' in text
        assert f'iifname "{bridge}" jump networks' in text
    assert "dport" not in text


def test_ports_and_networks_of_containers_are_those_of_the_site() -> None:
    text = firewall(
        docker_container_host_ports=[53, 3128], docker_container_blocked_networks=["10.0.0.0/8", "fd00::/8"]
    )
    assert "th dport { 53, 3128 } accept" in text
    assert "ip daddr 10.0.0.0/8 counter drop ip6 daddr fd00::/8 counter drop" in text
    assert "169.254" not in text


def test_without_the_firewall_its_table_is_removed() -> None:
    lines = settings_lines(render("docker", "container-firewall.nft.j2", docker_container_firewall=False))
    assert lines == ["table inet cwl_airflow_containers", "delete table inet cwl_airflow_containers"]


def test_chrony_gets_every_server() -> None:
    servers = ["192.0.2.1", "time.example.org"]
    assert settings_lines(render("base", "chrony.sources.j2", base_ntp_servers=servers)) == [
        "server 192.0.2.1 iburst",
        "server time.example.org iburst",
    ]


MIRROR = "http://mirror.example.org/100%25"


@pytest.mark.parametrize(
    ("distribution", "release", "security", "components"),
    [
        ("Debian", "trixie", "http://deb.debian.org/debian-security", "main"),
        ("Ubuntu", "noble", "http://security.ubuntu.com/ubuntu", "main universe"),
    ],
)
def test_apt_uses_the_mirror_and_the_security_archive(
    distribution: str, release: str, security: str, components: str
) -> None:
    facts = FACTS | {"distribution": distribution, "distribution_release": release}
    lines = settings_lines(render("base", "sources.list.j2", base_apt_mirror=MIRROR, ansible_facts=facts))
    assert lines == [
        f"deb {MIRROR} {release} {components}",
        f"deb {MIRROR} {release}-updates {components}",
        f"deb {security} {release}-security {components}",
    ]


def test_apt_uses_a_mirror_of_the_security_archive() -> None:
    text = render("base", "sources.list.j2", base_apt_mirror=MIRROR, base_apt_security_mirror="http://192.0.2.1/s")
    assert settings_lines(text)[2] == "deb http://192.0.2.1/s trixie-security main"


REPOSITORY_OF_APT = {
    "name": "unstable",
    "uris": ["http://192.0.2.1/debian"],
    "suites": ["unstable"],
    "packages": ["mysql-server", "mysql-client"],
    "pin": "release n=sid",
    "check_valid_until": False,
}


def test_repository_is_what_apt_reads() -> None:
    text = render("base", "repository.sources.j2", item=REPOSITORY_OF_APT, __key="/usr/share/keyrings/archive.gpg")
    assert settings_lines(text) == [
        "Types: deb",
        "URIs: http://192.0.2.1/debian",
        "Suites: unstable",
        "Components: main",
        "Check-Valid-Until: no",
        "Signed-By: /usr/share/keyrings/archive.gpg",
    ]


def test_key_stands_in_the_repository_itself() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxjME\n-----END PGP PUBLIC KEY BLOCK-----\n"
    text = render("base", "repository.sources.j2", item=REPOSITORY_OF_APT, __key=key)
    assert settings_lines(text)[-5:] == [
        "Signed-By:",
        " -----BEGIN PGP PUBLIC KEY BLOCK-----",
        " .",
        " xjME",
        " -----END PGP PUBLIC KEY BLOCK-----",
    ]


def test_only_the_named_packages_come_from_a_repository() -> None:
    assert settings_lines(render("base", "repository.pref.j2", item=REPOSITORY_OF_APT)) == [
        "Package: mysql-server mysql-client",
        "Pin: release n=sid",
        "Pin-Priority: 990",
        "Package: *",
        "Pin: release n=sid",
        "Pin-Priority: -1",
    ]


TEMPLATES = sorted(path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("roles/*/templates/*.j2"))
UNMANAGED = ["definitions.json.j2", "enabled_plugins.j2"]  # formats without comments
NEEDS: dict[str, Callable[[], Values]] = {
    "airflow.cfg.j2": lambda: {"item": {"options": {"core": {"executor": "CeleryExecutor"}}}},
    "environment.j2": lambda: {"item": {"variables": {"LANG": "C.UTF-8"}}},
    "command.j2": lambda: {"item": "airflow"},
    "unit.service.j2": lambda: {"item": "worker"},
    "unit.timer.j2": lambda: {"item": "cwl-tidy", **site()},
    "definitions.json.j2": lambda: RABBITMQ_SECRETS,
    "repository.sources.j2": lambda: {"item": REPOSITORY_OF_APT, "__key": "/usr/share/keyrings/archive.gpg"},
    "repository.pref.j2": lambda: {"item": REPOSITORY_OF_APT},
    "site.conf.j2": lambda: PROXY,
    "rules.nft.j2": lambda: {"__firewall_ssh_ports": [22]},
}
PROXY = {
    "proxy_server_name": "cwl.example.org",
    "proxy_services": [{"path": "/", "url": "http://127.0.0.1:8080"}],
    "__proxy_there": {"results": [{"stat": {"exists": False}}] * 2},
}


def test_a_service_that_knows_nothing_of_its_path_gets_the_rest_as_it_came() -> None:
    services = [*PROXY["proxy_services"], {"path": "/cwl-api/", "url": "http://127.0.0.1:8081", "strips": True}]
    text = render("proxy", "site.conf.j2", **{**PROXY, "proxy_services": services, "proxy_https_port": 8443})
    assert r'"~^/cwl\-api/(?<below>.*)$" /$below;' in text
    assert "server 127.0.0.1:8081;" in text
    assert "proxy_pass http://site_cwl_api_$site_cwl_api_;" in text
    assert "proxy_pass http://site_;" in text
    assert text.count("return 308 https://cwl.example.org:8443$request_uri;") == 2
    assert "[::]" not in text  # which this host does not have


def test_a_service_on_another_host_must_be_who_it_says() -> None:
    services = [{"path": "/", "url": "https://192.0.2.22:8080", "tls_name": "site-192-0-2-22", "logins": ["/login"]}]
    text = render("proxy", "site.conf.j2", **{**PROXY, "proxy_services": services})
    assert text.count("proxy_ssl_name site-192-0-2-22;\n        proxy_pass https://site_;") == 3
    assert "proxy_ssl_verify on;" in text
    assert "proxy_ssl" not in render("proxy", "site.conf.j2", **PROXY)


def test_a_service_for_other_hosts_lets_in_who_is_named() -> None:
    service = {"port": 8080, "url": "http://127.0.0.1:8080", "clients": ["192.0.2.23", "192.0.2.24"]}
    text = render(
        "proxy",
        "internal.conf.j2",
        proxy_internal_services=[service],
        proxy_internal_addresses=["192.0.2.22"],
        proxy_forwarders=["192.0.2.9"],
    )
    lines = [line.strip() for line in text.splitlines()]
    assert "listen 192.0.2.22:8080 ssl;" in lines
    assert [line for line in lines if line.startswith(("allow", "deny"))] == [
        "allow 192.0.2.23;",
        "allow 192.0.2.24;",
        "deny all;",
    ]
    assert "192.0.2.9 1;" in lines  # the one that is believed


@pytest.mark.parametrize(
    ("clients", "rules"),
    [
        ([], ["tcp dport { 443 } accept"]),
        (["192.0.2.1"], ["ip saddr { 192.0.2.1 } tcp dport { 443 } accept"]),
        (
            ["192.0.2.1", "2001:db8::/32", "198.51.100.0/24"],
            [
                "ip saddr { 192.0.2.1, 198.51.100.0/24 } tcp dport { 443 } accept",
                "ip6 saddr { 2001:db8::/32 } tcp dport { 443 } accept",
            ],
        ),
    ],
)
def test_the_firewall_opens_a_port_to_who_is_named(clients: list[str], rules: list[str]) -> None:
    ports = [{"port": 443, "clients": clients}]
    text = render("firewall", "rules.nft.j2", firewall_ports=ports, __firewall_ssh_ports=[22])
    found = [line.strip() for line in text.splitlines() if "dport {" in line]
    assert found == ["tcp dport { 22 } accept", *rules]
    assert "policy drop;" in text


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_renders_with_the_defaults_and_ends_with_a_newline(template: str) -> None:
    _, role, _, name = template.split("/")
    text = render(role, name, **NEEDS.get(name, dict)())
    assert text.endswith("\n")
    assert ("Ansible managed" in text) == (name not in UNMANAGED)


@pytest.mark.parametrize("command", ["airflow", "cwl-airflow-images"])
def test_a_command_runs_as_the_services_do(command: str) -> None:
    lines = render("airflow", "command.j2", item=command).splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[-1] == f'exec /usr/local/bin/airflow-exec /opt/airflow/bin/{command} "$@"'


def test_what_runs_commands_says_what_to_do_without_rights(tmp_path: Path) -> None:
    path = tmp_path / "airflow-exec"
    text = render("airflow", "airflow-exec.j2", __airflow_environment_file=str(tmp_path / "none"))
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(["sh", str(path), "/opt/airflow/bin/airflow"], capture_output=True, text=True, check=False)
    assert done.returncode == 77
    assert "run sudo airflow" in done.stderr
