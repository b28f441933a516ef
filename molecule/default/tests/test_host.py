"""The state of a host with everything on it."""

from __future__ import annotations

import json
import re

import pytest
from conftest import MADE, SERVICES, UNITS

HOME = "/var/lib/airflow"


@pytest.mark.parametrize("unit", UNITS)
def test_unit_runs_and_comes_back_after_a_reboot(host, unit):
    service = host.service(unit)
    assert service.is_running
    assert service.is_enabled


def test_no_unit_has_failed(host):
    assert host.check_output("systemctl list-units --failed --no-legend --plain") == ""


@pytest.mark.parametrize("unit", [*SERVICES, "airflow-cwl-javascript@x", "airflow-cwl-tidy"])
def test_service_is_sandboxed(host, unit):
    answer = host.check_output(f"systemd-analyze security --no-pager {unit} | tail -n 1")
    level = re.search(r"exposure level for .*: ([0-9.]+)", answer)
    assert level and float(level[1]) <= 2.0, answer


@pytest.mark.parametrize("unit", ["mysql", "rabbitmq-server", "epmd", "nginx"])
def test_what_others_made_is_confined(host, unit):
    answer = host.check_output(f"systemd-analyze security --no-pager {unit}.service | tail -n 1")
    level = re.search(r"exposure level for .*: ([0-9.]+)", answer)
    assert level and float(level[1]) <= 4.0, answer


@pytest.mark.parametrize("unit", SERVICES)
def test_service_runs_without_privileges(host, unit):
    pid = host.check_output(f"systemctl show --property=MainPID --value {unit}")
    status = host.file(f"/proc/{pid}/status").content_string
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert host.check_output(f"stat -c %U /proc/{pid}") == "airflow"


@pytest.mark.parametrize(
    "port", [8080, 8081, 5555, 8793, 15672, 5672, 3306, 4369, 25672], ids=lambda port: f"port {port}"
)
def test_port_is_open_to_this_host_only(host, port):
    listening = [s for s in host.socket.get_listening_sockets() if s.endswith(f":{port}") and s.startswith("tcp")]
    assert listening, f"nothing listens on {port}"
    assert all(s.startswith(("tcp://127.0.0.1:", "tcp://::1:")) for s in listening), listening


def sql(host, statement):
    return host.check_output(f"mysql --batch --skip-column-names --execute {json.dumps(statement)}").splitlines()


def test_database_has_no_anonymous_user_no_remote_root_no_test_schema(host):
    assert sql(host, "SELECT COUNT(*) FROM mysql.user WHERE user = ''") == ["0"]
    assert sql(host, "SELECT host FROM mysql.user WHERE user = 'root'") == ["localhost"]
    assert "test" not in sql(host, "SHOW DATABASES")


def test_database_root_has_no_password_login(host):
    assert host.run("mysql --protocol=tcp --host=127.0.0.1 --user=root --execute 'SELECT 1'").rc != 0
    assert host.run("runuser -u nobody -- mysql --user=root --execute 'SELECT 1'").rc != 0


def test_database_user_has_rights_on_its_schema_only(host):
    for address in ("localhost", "127.0.0.1"):
        grants = sql(host, f"SHOW GRANTS FOR airflow@'{address}'")
        assert any("ALL PRIVILEGES ON \\`airflow\\`.*".replace("\\", "") in g for g in grants), grants
        assert not any(" ON *.*" in g and "USAGE" not in g for g in grants), grants


def test_database_is_set_as_airflow_wants(host):
    wanted = {
        "explicit_defaults_for_timestamp": "ON",
        "character_set_server": "utf8mb4",
        "transaction_isolation": "READ-COMMITTED",
        "log_bin": "OFF",
    }
    for name, value in wanted.items():
        assert sql(host, f"SHOW VARIABLES LIKE '{name}'") == [f"{name}\t{value}"]
    schema = sql(host, "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name='airflow'")
    assert schema == ["utf8mb4"]


def rabbitmq(host, *arguments):
    return json.loads(host.check_output(f"rabbitmqctl --quiet --formatter json {' '.join(arguments)}"))


def test_broker_has_no_guest(host):
    users = {user["user"]: user["tags"] for user in rabbitmq(host, "list_users")}
    assert users == {"admin": ["administrator"], "airflow": []}


def test_broker_user_has_rights_on_its_vhost_only(host):
    permissions = rabbitmq(host, "list_user_permissions", "airflow")
    assert [p["vhost"] for p in permissions] == ["airflow"]


def test_broker_lets_long_steps_finish(host):
    assert (
        host.check_output("rabbitmqctl --quiet eval 'application:get_env(rabbit, consumer_timeout).'")
        == "{ok,2592000000}"
    )


def test_broker_name_does_not_depend_on_the_host_name(host):
    assert host.check_output("rabbitmqctl --quiet eval 'node().'") == "rabbit@localhost"


def test_engine_rotates_logs_and_keeps_containers_through_a_restart(host):
    daemon = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert daemon["live-restore"] is True
    assert daemon["log-opts"] == {"max-size": "50m", "max-file": "3"}


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        ("/etc/airflow", "root", "airflow", 0o755),
        ("/etc/airflow/administrator.json", "root", "airflow", 0o640),
        ("/etc/airflow/airflow.cfg", "root", "airflow", 0o640),
        ("/etc/airflow/credentials", "root", "root", 0o700),
        ("/etc/airflow/worker.cfg", "root", "airflow-worker", 0o640),
        ("/etc/airflow/worker.env", "root", "root", 0o600),
        ("/etc/default/airflow", "root", "airflow", 0o640),
        ("/etc/rabbitmq/definitions.json", "root", "rabbitmq", 0o640),
        (f"{HOME}/dags", "airflow", "cwl-data", 0o2775),
        (f"{HOME}/cwl/inputs", "airflow", "cwl-data", 0o2775),
        (f"{HOME}/cwl/outputs", "airflow", "cwl-data", 0o2750),
        (f"{HOME}/cwl/tmp", "airflow", "cwl-data", 0o2750),
        (f"{HOME}/cwl/pickle", "airflow", "cwl-data", 0o2750),
    ],
)
def test_path_belongs_to_whom_it_should(host, path, owner, group, mode):
    found = host.file(path)
    assert (found.user, found.group, oct(found.mode)) == (owner, group, oct(mode))


def test_release_is_linked_and_belongs_to_root(host):
    target = host.file("/opt/airflow").linked_to
    assert target.startswith("/opt/airflow-releases/")
    assert host.file(target).user == "root"


def test_no_compiler_stays(host):
    for name in ("gcc", "libldap-dev", "libmysqlclient-dev", "libsasl2-dev", "python3.13-dev"):
        assert not host.package(name).is_installed


@pytest.mark.parametrize("name", MADE)
def test_secret_is_in_no_command_line_and_no_log(host, secret, name):
    value = secret(name)
    assert value not in host.check_output("ps -eo args")
    assert host.run(f"grep -rqF -- '{value}' /var/log {HOME}/logs").rc == 1
    assert value not in host.check_output("journalctl --no-pager --quiet")


@pytest.mark.parametrize("password", ["admin", "airflow", "guest", "password", ""])
def test_no_default_password_works(host, password):
    script = (
        "import urllib.request, base64, sys\n"
        "for url in sys.argv[3:]:\n"
        "    request = urllib.request.Request(url)\n"
        "    token = base64.b64encode(f'{sys.argv[1]}:{sys.argv[2]}'.encode()).decode()\n"
        "    request.add_header('Authorization', 'Basic ' + token)\n"
        "    try:\n"
        "        urllib.request.urlopen(request, timeout=20)\n"
        "        print('let in:', url)\n"
        "    except urllib.error.HTTPError as error:\n"
        "        assert error.code in (401, 403), error\n"
    )
    urls = [
        "http://127.0.0.1:8080/api/v2/dags",
        "http://127.0.0.1:5555/flower/workers",
        "http://127.0.0.1:15672/rabbitmq/api/overview",
    ]
    for user in ("admin", "airflow", "guest"):
        assert host.check_output(f"python3 -c %s {user} %s {' '.join(urls)}", script, password) == ""
    assert (
        host.run(
            f"mysql --protocol=tcp --host=127.0.0.1 --user=airflow --password={password or repr('')} -e 'SELECT 1'"
        ).rc
        != 0
    )


def test_commands_have_the_services_environment(host):
    executor = "cwl_airflow.executor.RestingCeleryExecutor"
    assert host.check_output("sudo airflow config get-value core executor") == executor


def test_configuration_has_nothing_that_airflow_does_not_know(host):
    # It complains of each executor but its own default.
    assert "No issues found" in host.check_output("airflow config lint --ignore-option executor")


def test_command_says_what_to_do_without_rights(host):
    refused = host.run("runuser -u nobody -- airflow version")
    assert refused.rc == 77
    assert "sudo airflow" in refused.stderr


def test_any_python_process_has_our_engine(host):
    """Also one that imports a DAG file before Airflow has loaded its plug-ins: a linter, a notebook."""
    names = "cwldag.CWLDAG operators.cwljobdispatcher.CWLJobDispatcher operators.cwljobgatherer.CWLJobGatherer"
    for name in f"{names} operators.cwlstepoperator.CWLStepOperator".split():
        module, _, imported = name.rpartition(".")
        program = f"from cwl_airflow.extensions.{module} import {imported}; print({imported}.__module__)"
        assert host.check_output(f"cd / && /opt/airflow/bin/python -Wignore -c '{program}'").startswith(
            "cwl_airflow.dags."
        )
