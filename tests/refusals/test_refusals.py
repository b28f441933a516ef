"""Bad input ends with a clear message before anything changes.

Each case runs the checks of site.yml against a bare host, which must stay as it is: the whole, or with the tags of the
roles whose variables it gives. The message must name the variable or file, the value, and what to do.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import HOST, PROJECT, playbook

Refused = Callable[..., str]
REPOSITORY = {
    "name": "example",
    "uris": ["http://192.0.2.1"],
    "suites": ["x"],
    "signed_by": "/usr/share/keyrings/x.gpg",
}
MAIL = {
    "cwl_airflow_mail_to": ["ann@example.org"],
    "cwl_airflow_mail_from": "cwl@example.org",
    "cwl_airflow_mail_server": "mail.example.org",
}
LDAP = {
    "airflow_ldap_url": "ldaps://ldap.example.org",
    "airflow_ldap_bind_user": "cn=airflow,dc=example,dc=org",
    "airflow_ldap_bind_password": "of-the-directory",
    "airflow_ldap_search_base": "dc=example,dc=org",
    "airflow_login_roles": {"cn=lab,dc=example,dc=org": ["User"]},
}
OIDC = {
    "airflow_oidc_url": "https://sso.example.org/realms/lab",
    "airflow_oidc_client_id": "cwl",
    "airflow_oidc_client_secret": "of-the-provider",
    "airflow_login_roles": {"lab": ["User"]},
}

ROLES = [folder.name for folder in (PROJECT / "roles").iterdir()]


def of_roles(variables: dict[str, object]) -> str:
    """Return the option with which site.yml is for the roles of variables alone, which takes half of the time."""
    roles = {
        max((each for each in ROLES if name.startswith(f"{each}_")), key=len, default="always") for name in variables
    }
    return f"--tags={','.join(sorted(roles))}"


@pytest.mark.parametrize(
    ("variables", "fragments"),
    [
        ({"rabbitmq_memory_watermark": 3}, ["rabbitmq_memory_watermark is 3", "fraction of the host's memory"]),
        (
            {"proxy_server_name": "https://cwl.example.org", "certificates_names": ["a b"]},
            ['certificates_names has "a b": give names of hosts'],
        ),
        (
            {"proxy_server_name": "https://cwl.example.org"},
            ['proxy_server_name has "https://cwl.example.org": give a name'],
        ),
        ({"proxy_bind_addresses": ["eth0"]}, ['proxy_bind_addresses has "eth0": give addresses of the host']),
        ({"proxy_acme_directory": "https://acme.example.org"}, ["without proxy_acme_email: give an address"]),
        (
            {"proxy_acme_directory": "https://a.example.org", "proxy_acme_email": "a@b", "proxy_http_port": 8080},
            ["whose server asks for a name at port 80", "proxy_http_port (8080) 80"],
        ),
        ({"proxy_certificate": "none"}, ["proxy_certificate is given without proxy_certificate_key"]),
        (
            {"proxy_certificate": "none", "proxy_certificate_key": "none"},
            ["proxy_certificate cannot be read: give PEM, which begins with -----BEGIN CERTIFICATE-----"],
        ),
        (
            {"site_ca_key": "a-key-of-somebody"},
            ["site_ca_key", "is no private key in PEM without a passphrase, in base64", "secp384r1 -genkey"],
        ),
        (
            {"proxy_forwarders": ["proxy.example.org"]},
            ['proxy_internal_services has "proxy.example.org": whom a service lets in'],
        ),
        (
            {
                "proxy_internal_services": [{"port": 8080, "url": "http://127.0.0.1:8080", "clients": ["192.0.2.2"]}],
                "proxy_internal_addresses": [],
            },
            ["proxy_internal_addresses is empty: give the addresses"],
        ),
        ({"mysql_tls_certificate_file": "/x.pem"}, ["mysql_tls_certificate_file is '/x.pem'", "give both"]),
        (
            {"rabbitmq_tls_bind_addresses": ["192.0.2.1"]},
            ["rabbitmq_tls_bind_addresses is", "give rabbitmq_tls_certificate_file"],
        ),
        (
            {"storage_mounts": [{"src": "nas:/x", "path": "srv", "fstype": "nfs"}]},
            ["storage_mounts has", "give src, path, fstype and opts as in fstab(5)"],
        ),
        (
            {
                "storage_mounts": [
                    {"src": "nas:/x", "path": "/srv", "fstype": "nfs"},
                    {"src": "/srv/dags", "path": "/dags", "fstype": "none", "opts": "bind"},
                ]
            },
            ["storage_mounts has /dags with opts 'bind', of /srv/dags below /srv", "add _netdev"],
        ),
        ({"proxy_logins_per_minute": 0}, ["proxy_logins_per_minute is 0: give a number above 0"]),
        ({"certificates_days": 30}, ["certificates_days is 30 and certificates_renew_days 60", "must be more"]),
        (
            {"airflow_config": {"api": {"base_url": "https://cwl.example.org"}}},
            ["airflow_config has base_url in the section api: set airflow_base_url instead"],
        ),
        ({"mysql_variant": "mariadb"}, ["mysql_variant is gone", "MariaDB", "the database is MySQL"]),
        ({"mysql_binary_log_days": -1}, ["mysql_binary_log_days is -1", "from 0 (no binary log)"]),
        (
            {"base_apt_repositories": [{**REPOSITORY, "signed_by": "https://192.0.2.1/key"}]},
            ["base_apt_repositories has 'example' with the fingerprint ''", "its fingerprint (40 hexadecimal digits)"],
        ),
        (
            {"base_apt_repositories": [{**REPOSITORY, "packages": ["mysql-server"]}]},
            ["base_apt_repositories has 'example' with packages and the pin ''", "release n=sid"],
        ),
        ({"mysql_port": "many"}, ["mysql_port is 'many': give a whole number (int)"]),
        (
            {"airflow_worker_concurrency": "lots", "docker_registry_mirrors": "foo"},
            ["airflow_worker_concurrency is 'lots': give a whole", "docker_registry_mirrors is 'foo': give a list"],
        ),
        ({"mysql_airflow_remote_hosts": ["192.0.2.0/24"]}, ["mysql_airflow_remote_hosts", "192.0.2.0/24", "netmasks"]),
        (
            {"cwl_airflow_queues": {"default": {"cpus": "two", "ram": 1024}}},
            ["cwl_airflow_queues has 'default'", "two", "cpus (cores) and ram (MiB)"],
        ),
        ({"cwl_airflow_queues": {"big": {"cpus": 2, "ram": 1024}}}, ["cwl_airflow_queues has big", "'default'"]),
        (
            {"airflow_worker_queues": ["default", "advanced", "big"]},
            ["airflow_worker_queues of", HOST, '"big"]', "cwl_airflow_queues has (default, advanced)"],
        ),
        ({"airflow_worker_queues": []}, ["airflow_worker_queues of", HOST, "give a list of queues"]),
        (
            {"airflow_worker_queues": ["default"]},
            ["cwl_airflow_queues has 'advanced', and no worker takes tasks from it", "airflow_worker_queues", HOST],
        ),
        ({"airflow_worker_concurrency": 0}, ["airflow_worker_concurrency is 0", "above 0"]),
        ({"airflow_watchdog_seconds": 5}, ["airflow_watchdog_seconds is 5", "30 or more"]),
        (
            {"cwl_airflow_config": {"scatter_tasks": 1025}},
            ["cwl_airflow_config has scatter_tasks '1025'", "at most 1024", "max_map_length"],
        ),
        ({"airflow_config": {"core": ["parallelism"]}}, ["airflow_config has the section 'core'", "section → option"]),
        ({"airflow_config": {"core": {"a": {"b": 1}}}}, ["airflow_config has the section 'core'"]),
        (
            {"airflow_config": {"celery": {"worker_concurrency": 2}}},
            ["airflow_config has worker_concurrency in the section celery", "set airflow_worker_concurrency"],
        ),
        (
            {"airflow_config": {"webserver": {"web_server_port": 8888}, "scheduler": {"dag_dir_list_interval": 5}}},
            [
                "web_server_port in the section webserver (set airflow_webserver_port)",
                "dag_dir_list_interval in the section scheduler (set refresh_interval in the section dag_processor)",
            ],
        ),
        (
            {"airflow_environment": {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://192.0.2.1/execution/"}},
            ["airflow_environment has AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "set airflow_execution_api_url"],
        ),
        (
            {"airflow_environment": {"AIRFLOW_CONFIG": "/etc/x"}},
            ["airflow_environment has AIRFLOW_CONFIG", "remove it"],
        ),
        (
            {"airflow_environment": {"http_proxy": "http://192.0.2.9:3128"}},
            ["airflow_environment has http_proxy", "add no_proxy with 127.0.0.1"],
        ),
        (
            {"airflow_execution_api_url": "http://192.0.2.1:8080"},
            ["airflow_execution_api_url is 'http://192.0.2.1:8080'", "/execution/ at its end"],
        ),
        (
            {**LDAP, "airflow_ldap_url": "ldap.example.org"},
            ['airflow_ldap_url has "ldap.example.org"', "ldap:// for StartTLS", "without TLS"],
        ),
        (
            {**LDAP, "airflow_ldap_search_filter": "objectClass=person"},
            ['airflow_ldap_search_filter has "objectClass=person"', "in parentheses"],
        ),
        ({**LDAP, "airflow_ldap_search_base": "example.org"}, ["airflow_ldap_search_base has", "give a DN"]),
        ({**LDAP, "airflow_ldap_user_attribute": "uid)(x"}, ["airflow_ldap_user_attribute has", "for instance uid"]),
        ({**LDAP, "airflow_ldap_group_attribute": ""}, ["airflow_ldap_group_attribute has", "for instance memberOf"]),
        (
            {**LDAP, "airflow_ldap_bind_password": "", "airflow_ldap_search_base": ""},
            [
                "airflow_ldap_url is 'ldaps://ldap.example.org'",
                "without airflow_ldap_bind_password, airflow_ldap_search_base: give",
                "credentials/<site_name>/ldap_bind_password",
            ],
        ),
        (
            {**LDAP, **OIDC},
            ["airflow_ldap_url and airflow_oidc_url are given", "keep one of them"],
        ),
        (
            {"airflow_config": {"fab": {"config_file": "/var/lib/airflow/own.py"}}},
            ["airflow_config has the config_file /var/lib/airflow/own.py in the section fab", "where no service"],
        ),
        (
            {**LDAP, "airflow_config": {"fab": {"config_file": "/etc/airflow/own.py"}}},
            ["airflow_ldap_url and config_file in the section fab of airflow_config are given"],
        ),
        ({**LDAP, "airflow_login_roles": {}}, ["Neither airflow_login_roles nor airflow_login_default_role is given"]),
        (
            {"airflow_login_default_role": "Viewer"},
            ["airflow_login_default_role is given, without airflow_ldap_url and airflow_oidc_url"],
        ),
        (
            {**LDAP, "airflow_login_roles": {"cn=lab": "User"}},
            ["airflow_login_roles has 'cn=lab' with", '"User"', "each group a list of them"],
        ),
        (
            {**LDAP, "airflow_login_roles": {"cn=lab": ["admin"]}},
            ["airflow_login_roles has 'cn=lab' with", '["admin"]', "Admin, Op, User, Viewer, Public"],
        ),
        (
            {**LDAP, "airflow_login_default_role": "viewer"},
            ['airflow_login_default_role is ["viewer"]', "Admin, Op, User, Viewer, Public"],
        ),
        (
            {**OIDC, "airflow_oidc_url": "http://sso.example.org"},
            ['airflow_oidc_url has "http://sso.example.org"', "an https URL"],
        ),
        (
            {**OIDC, "airflow_oidc_client_secret": ""},
            ["without airflow_oidc_client_secret", "credentials/<site_name>/oidc_client_secret"],
        ),
        ({**OIDC, "airflow_oidc_scopes": ["profile"]}, ['airflow_oidc_scopes has ["profile"]', "openid among them"]),
        ({**OIDC, "airflow_base_url": ""}, ["but airflow_base_url is ''", "group proxy"]),
        ({"airflow_jwt_secret": "short-secret"}, ["airflow_jwt_secret", "has 12 characters", "give 64"]),
        (
            {"docker_registry_mirrors": ["http://registry:5001"]},
            ["docker_registry_mirrors has 'http://registry:5001'", "does not answer", HOST],
        ),
        ({"docker_registry_mirrors": ["registry:5000"]}, ["docker_registry_mirrors has 'registry:5000'", "http://"]),
        ({"docker_daemon_options": {"log-drver": "x"}}, ["docker_daemon_options has log-drver"]),
        ({"base_minimum_memory": 99999999}, ["base_minimum_memory asks for 99999999", HOST]),
        ({"base_minimum_disk": 999999999}, ["base_minimum_disk asks for 999999999", HOST]),
        ({"base_ca_certificates": ["/nowhere.pem"]}, ["base_ca_certificates names '/nowhere.pem'"]),
        ({"cwl_airflow_javascript_memory": 64}, ["cwl_airflow_javascript_memory is 64", "at least 128"]),
        ({"cwl_airflow_min_free": -1}, ["cwl_airflow_min_free is -1", "at least 0"]),
        ({"cwl_airflow_tidy_rows_days": -1}, ["cwl_airflow_tidy_rows_days is -1", "at least 0"]),
        ({"cwl_airflow_tidy_calendar": "at night"}, ["cwl_airflow_tidy_calendar is 'at night'", "systemd.time(7)"]),
        ({"base_journal_days": -1}, ["base_journal_days is -1", "at least 0"]),
        ({"cwl_airflow_javascript_processes": 0}, ["cwl_airflow_javascript_processes is 0", "at least 1"]),
        (
            {"cwl_airflow_config": {"javascript_socket": ""}},
            ["cwl_airflow_config has javascript_socket ''", "/run/airflow-cwl-javascript.socket"],
        ),
        ({"cwl_airflow_data_paths": [{"path": "/data/none"}]}, ["cwl_airflow_data_paths has '/data/none'", HOST]),
        ({"cwl_airflow_data_paths": [{"path": "/etc/x"}]}, ["cwl_airflow_data_paths has '/etc/x'", "/data"]),
        ({"cwl_airflow_data_paths": [{"path": "/"}]}, ["cwl_airflow_data_paths has '/'", "holds data only"]),
        (
            {"cwl_airflow_fetch_hosts": ["https://files.example.org/"]},
            ["cwl_airflow_fetch_hosts has 'https://files.example.org/'", "no scheme or path"],
        ),
        ({"cwl_airflow_report_url": "receiver:8443"}, ["cwl_airflow_report_url is 'receiver:8443'", "https://"]),
        ({"cwl_airflow_report_algorithm": "RS256"}, ["cwl_airflow_report_algorithm is RS256", "report_private_key"]),
        ({"cwl_airflow_report_algorithm": "none"}, ["cwl_airflow_report_algorithm", "none"]),
        ({"cwl_airflow_mail_to": ["Ann <ann@example.org>"]}, ["cwl_airflow_mail_to has 'Ann <ann", "without a name"]),
        ({"cwl_airflow_mail_to": ["ann@example.org"]}, ["cwl_airflow_mail_from has ''", "give an address"]),
        ({**MAIL, "cwl_airflow_mail_server": "smtp://mail"}, ["cwl_airflow_mail_server is 'smtp://mail'", "the name"]),
        ({**MAIL, "cwl_airflow_mail_port": 0}, ["cwl_airflow_mail_port 0", "from 1 to 65535"]),
        ({**MAIL, "cwl_airflow_mail_security": "ssl"}, ["cwl_airflow_mail_security", "starttls, tls, none", "ssl"]),
        (
            {**MAIL, "cwl_airflow_mail_user": "cwl"},
            ["cwl_airflow_mail_user is 'cwl', and there is no", "mail_password"],
        ),
        (
            {**MAIL, "cwl_airflow_mail_password": "of-the-mail-server"},
            ["cwl_airflow_mail_user is '', and there is a password", "mail_password"],
        ),
        (
            {
                **MAIL,
                "cwl_airflow_mail_security": "none",
                "cwl_airflow_mail_user": "cwl",
                "cwl_airflow_mail_password": "of-the-mail-server",
            },
            ["cwl_airflow_mail_security is none", "would go to mail.example.org", "starttls or tls"],
        ),
        ({"cwl_airflow_api_host": "all of them"}, ["cwl_airflow_api_host is 'all of them'", "0.0.0.0"]),
        ({"cwl_airflow_api_jwt_public_key": "-----BEGIN PUBLIC KEY-----"}, ["its type is unknown", "no public key"]),
        ({"cwl_airflow_api_jwt_algorithm": "none"}, ["cwl_airflow_api_jwt_algorithm", "none", "RS256"]),
        ({"cwl_airflow_api_jwt_user": "robot"}, ["cwl_airflow_api_jwt_user is 'robot'", "jwt_public_key"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_value_or_type(refused: Refused, variables: dict[str, object], fragments: list[str]) -> None:
    output = refused(variables, of_roles(variables))
    for fragment in fragments:
        assert fragment in output


@pytest.mark.parametrize(
    ("variables", "fragments"),
    [
        (
            {
                "base_ntp_servers": ["192.0.2.1 iburst\nserver 192.0.2.2"],
                "base_sshd_options": {"Banner": "none\nPermitRootLogin yes", "X\nY": "z"},
                "base_apt_mirror": "http://192.0.2.1/debian\n",
            },
            [
                'base_ntp_servers[] has "192.0.2.1 iburst\\nserver',
                'base_sshd_options.Banner has "none\\n',
                'base_sshd_options has "X\\nY"',
                "base_apt_mirror has",
            ],
        ),
        (
            {"docker_no_proxy": "localhost\nExecStartPre=/bin/true", "docker_container_blocked_networks": ["::1\n"]},
            ['docker_no_proxy has "localhost\\nExecStartPre', "docker_container_blocked_networks[] has"],
        ),
        (
            {"mysql_extra_settings": {"wait_timeout": "600\nskip-grant-tables", "a\rb": 1}},
            ['mysql_extra_settings.wait_timeout has "600\\nskip-grant-tables"', 'mysql_extra_settings has "a\\rb"'],
        ),
        (
            {
                "rabbitmq_extra_settings": {"heartbeat": "60\nloopback_users = none"},
                "rabbitmq_loopback_users": ["a\nb"],
            },
            ['rabbitmq_extra_settings.heartbeat has "60\\n', 'rabbitmq_loopback_users[] has "a\\nb"'],
        ),
        (
            {
                "airflow_config": {"core": {"parallelism": "8\nunit_test_mode = True", "a\nb": 1}, "x]\n[y": {}},
                "airflow_environment": {"SITE": "a\nPYTHONPATH=/tmp"},
                "airflow_writable_paths": ["/data\nUser=root"],
            },
            [
                'airflow_config.core.parallelism has "8\\nunit_test_mode',
                'airflow_config.core has "a\\nb"',
                'airflow_config has "x]\\n[y"',
                'airflow_environment.SITE has "a\\n',
                "airflow_writable_paths[] has",
            ],
        ),
        (
            {"cwl_airflow_config": {"keep_failed_days": "7\nx = y"}, "cwl_airflow_api_host": "127.0.0.1\n"},
            ['cwl_airflow_config.keep_failed_days has "7\\nx', "cwl_airflow_api_host has"],
        ),
        ({"nodejs_package": "nodejs\n"}, ["nodejs_package has"]),
        (
            {"hardening_sysctl": {"kernel.sysrq": "0\nnet.ipv4.ip_forward = 0"}, "hardening_blocked_modules": ["a\nb"]},
            ['hardening_sysctl.kernel.sysrq has "0\\n', 'hardening_blocked_modules[] has "a\\nb"'],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_value_of_several_lines(refused: Refused, variables: dict[str, object], fragments: list[str]) -> None:
    output = refused(variables, of_roles(variables))
    for fragment in [*fragments, "give one line without control characters"]:
        assert fragment in output


@pytest.mark.parametrize(
    ("variables", "fragments"),
    [
        (
            {
                "base_apt_proxy": 'http://192.0.2.1:3128"; Dpkg::Pre-Invoke {"true"}; x "',
                "base_apt_mirror": "http://a [x]",
            },
            [
                "base_apt_proxy is 'http://192.0.2.1:3128\"; Dpkg",
                "base_apt_mirror is 'http://a [x]'",
                "blanks and quotes",
            ],
        ),
        (
            {
                "base_apt_repositories": [
                    {
                        "name": "../x",
                        "uris": ["http://192.0.2.1"],
                        "suites": ["a b"],
                        "signed_by": "http://192.0.2.1/key",
                    }
                ]
            },
            ["base_apt_repositories has '../x'", '"a b"', "single words"],
        ),
        (
            {"base_sshd_options": {"Match": "User lab", "X11Forwarding": True, "Port 22": 1, "AllowUsers": ["a"]}},
            ["base_sshd_options has 'Match'", "base_sshd_options has 'Port 22'", "base_sshd_options has 'AllowUsers'"],
        ),
        (
            {
                "docker_container_host_ports": [53, 0, 65536],
                "docker_container_bridges": ['docker0"', "a*b"],
                "docker_container_blocked_networks": ["10.0.0.0/8 accept", "::/0"],
            },
            [
                "docker_container_host_ports has '0'",
                "docker_container_host_ports has '65536'",
                "has 'docker0\"'",
                "has 'a*b'",
                "docker_container_blocked_networks has '10.0.0.0/8 accept'",
                "networks in CIDR",
            ],
        ),
        ({"docker_http_proxy": "http://192.0.2.1/ b"}, ["docker_http_proxy has 'http://192.0.2.1/ b'"]),
        (
            {
                "hardening_sysctl": {"kernel.sysrq": False, "a = b": 1},
            },
            ["hardening_sysctl has 'kernel.sysrq' with false", "hardening_sysctl has 'a = b'"],
        ),
        (
            {
                "hardening_blocked_modules": ["usb storage"],
                "hardening_security_upgrades_except": ['"; }'],
                "hardening_integrity_paths": ["/a b"],
            },
            [
                'hardening_blocked_modules has "usb storage"',
                "hardening_security_upgrades_except has",
                'hardening_integrity_paths has "/a b"',
            ],
        ),
        (
            {"hardening_file_modes": {"/etc/crontab": 384}},
            ["hardening_file_modes has '/etc/crontab' with 384", "a mode in quotes"],
        ),
        ({"hardening_login_settings": {"umask": "027"}}, ["hardening_login_settings has 'umask'", "PASS_MIN_DAYS"]),
        ({"hardening_idle_shell": -1}, ["hardening_idle_shell is -1", "0 for never"]),
        (
            {
                "mysql_airflow_user": "a:b@c",
                "mysql_airflow_database": "a.*:ALL/b",
                "mysql_bind_address": "127.0.0.1 # x",
                "mysql_extra_settings": {"a = b": 1},
            },
            [
                "mysql_airflow_user has",
                "mysql_airflow_database has",
                "mysql_bind_address has",
                "mysql_extra_settings has",
            ],
        ),
        (
            {
                "rabbitmq_bind_address": "all of them",
                "rabbitmq_distribution_bind_address": '127.0.0.1"; touch /x; "',
                "rabbitmq_admin_user": "a:b",
                "rabbitmq_airflow_user": "a@b",
                "rabbitmq_extra_settings": {"a = b": 1},
            },
            [
                "rabbitmq_bind_address is all of them",
                'rabbitmq_distribution_bind_address is 127.0.0.1"; touch',
                "rabbitmq_admin_user is a:b",
                "rabbitmq_airflow_user is a@b",
                "rabbitmq_extra_settings is",
            ],
        ),
        (
            {
                "airflow_admin_user": "admin:x",
                "airflow_environment": {"A;touch /x;B": "1"},
            },
            ['airflow_admin_user has "admin:x"', "airflow_environment has"],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_value_that_breaks_out(refused: Refused, variables: dict[str, object], fragments: list[str]) -> None:
    output = refused(variables, of_roles(variables))
    for fragment in fragments:
        assert fragment in output


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [
        ("mysql_prot", 3307, "mysql_prot is no variable of a role: did you mean mysql_port?"),
        ("cwl_airflow_site_workflow", ["/x"], "did you mean cwl_airflow_site_workflows?"),
        ("site_nmae", "mylab", "site_nmae is known to nobody: did you mean site_name?"),
        ("airflow_queues", {"default": {"cpus": 1, "ram": 1}}, "set cwl_airflow_queues in its place"),
        ("airflow_extra_units", {}, "airflow_extra_units is made by the wiring: remove it"),
        ("cwl_airflow_units", {}, "cwl_airflow_units is a role's own and cannot be set"),
        ("__airflow_home", "/srv/airflow", "__airflow_home is a role's own and cannot be set"),
    ],
)
def test_variable_that_would_change_nothing(
    refused: Refused, change_inventory: ChangeInventory, name: str, value: object, fragment: str
) -> None:
    changed = change_inventory(lambda whole: whole["vars"].update({name: value}))
    assert f"Variables of {HOST}: {name}" in (output := refused({}, changed_inventory=changed))
    assert fragment in output


@pytest.mark.parametrize(
    ("value", "file", "fragment"),
    [
        ("tiny", None, "mysql_airflow_password must have one line of at least 12 characters"),
        ("a-secret-of-the-inventory", "a-secret-of-the-file", "not what credentials/refusals/mysql_airflow says"),
    ],
)
def test_secret_of_the_inventory(
    refused: Refused,
    change_inventory: ChangeInventory,
    credentials: Path,
    value: str,
    file: str | None,
    fragment: str,
) -> None:
    if file:
        credentials.mkdir(parents=True)
        (credentials / "mysql_airflow").write_text(file, encoding="utf-8")
    changed = change_inventory(lambda whole: whole["vars"].update({"mysql_airflow_password": value}))
    output = refused({}, changed_inventory=changed)
    assert fragment in output
    assert value not in output


def test_lock_with_a_wrong_checksum(refused: Refused, tmp_path: Path) -> None:
    for path in (PROJECT / "files/airflow").glob("*.txt"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lock = tmp_path / "requirements.txt"
    text = lock.read_text(encoding="utf-8")
    start = text.index("\nalembic==")
    end = text.index("\n", text.index("# via", start))
    wrong = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text[start:end])
    lock.write_text(text[:start] + wrong + text[end:], encoding="utf-8")
    output = refused({"airflow_requirements": str(tmp_path)})
    assert f"{tmp_path}/requirements.txt does not agree with" in output
    assert "alembic" in output


def test_document_that_is_not_yaml(refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "dag.py").write_text("", encoding="utf-8")
    (folder / "broken.cwl").write_text("cwlVersion: v1.0\nclass: [Workflow\n", encoding="utf-8")
    output = refused({"cwl_airflow_site_workflows": [str(folder)]})
    assert f"{folder}/broken.cwl, line 3 is not YAML" in output


@pytest.fixture
def change_inventory(inventory: Path, tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """Return a function that changes a copy of the inventory and returns where it is."""

    def change(how: Callable[[Any], None]) -> Path:
        whole = yaml.safe_load((inventory / "hosts.yml").read_text(encoding="utf-8"))["all"]
        whole["vars"] = yaml.safe_load((inventory / "group_vars/all.yml").read_text(encoding="utf-8"))
        how(whole)
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": whole}), encoding="utf-8")
        return tmp_path

    return change


ChangeInventory = Callable[[Callable[[Any], None]], Path]


def test_inventory_without_a_database(refused: Refused, change_inventory: ChangeInventory) -> None:
    output = refused({}, changed_inventory=change_inventory(lambda whole: whole["children"].pop("database")))
    assert "no host in the group 'database'" in output


@pytest.mark.parametrize(
    ("variables", "fragments"),
    [
        ({"site_address": HOST}, [f"{HOST} is found at '{HOST}'", "give it site_address"]),
        ({"site_address": "2001:db8::1"}, [f"{HOST} is found at '2001:db8::1'", "addresses of IPv4"]),
        ({"site_address": "192.0.2.1"}, [f"{HOST} is found at 192.0.2.1, which none of its network cards has"]),
        (
            {"airflow_webserver_host": "0.0.0.0"},
            [f"airflow_webserver_host of {HOST} is 0.0.0.0", "reach it over TLS at ", "Remove the variable"],
        ),
        (
            {"rabbitmq_bind_address": "0.0.0.0"},
            [f"rabbitmq_bind_address of {HOST} is 0.0.0.0, where AMQP is in plain text", ":5671"],
        ),
        ({"airflow_uid": 1}, ["airflow_uid gives airflow the number 1, which another one has"]),
        (
            {"firewall_ssh_clients": ["lab.example.org"]},
            ['firewall_ssh_clients has "lab.example.org": give addresses or networks'],
        ),
        ({"firewall_rollback_seconds": 10}, ["firewall_rollback_seconds is 10: give 30 or more"]),
    ],
)
def test_several_hosts(
    refused: Refused,
    change_inventory: ChangeInventory,
    shell: Callable[[str], str],
    variables: dict[str, object],
    fragments: list[str],
) -> None:
    address = shell("hostname --ip-address").split()[0]

    def add_worker(whole: Any) -> None:
        # The same container by another name: what is asked for is refused on both, or on the first.
        whole["children"]["worker"]["hosts"]["second"] = {"ansible_host": HOST, "site_address": address}
        whole["hosts"][HOST] = {"site_address": address, **variables}

    output = refused({}, changed_inventory=change_inventory(add_worker))
    assert [fragment for fragment in fragments if fragment not in output] == [], output


def test_mariadb_that_is_there(refused: Refused, shell: Callable[[str], str]) -> None:
    shell("touch /usr/sbin/mariadbd")
    try:
        output = refused({}, name="site.yml")
    finally:
        shell("rm /usr/sbin/mariadbd")
    assert f"{HOST} has MariaDB (/usr/sbin/mariadbd), on which Airflow 3 does not run" in output
    assert "take a new host" in output


def test_logins_that_would_not_hold_any_more(refused: Refused, shell: Callable[[str], str]) -> None:
    shell("mkdir /var/lib/airflow && touch /var/lib/airflow/webserver_config.py")
    try:
        output = refused({}, "--tags=airflow")
    finally:
        shell("rm -r /var/lib/airflow")
    assert f"{HOST} has /var/lib/airflow/webserver_config.py, where services could write and which" in output


def test_host_without_systemd(refused: Refused, change_inventory: ChangeInventory) -> None:
    def docker(*arguments: str) -> str:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    image = docker("inspect", "--format", "{{.Config.Image}}", HOST)
    label = "cwl-airflow-production.standin=refusals"
    container = docker("run", "--detach", "--label", label, "--network", "refusals", image, "sleep", "infinity")
    try:
        output = refused({"ansible_host": container}, changed_inventory=change_inventory(lambda whole: None))
        changes = docker("diff", container).splitlines()
        assert [change for change in changes if not re.match(". /(tmp|root)", change)] == []
    finally:
        docker("rm", "--force", "--volumes", container)
    assert f"{HOST} is not running systemd (PID 1 is " in output


#: RFC 9580, appendix A.1.
KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

xjMEU/NfCxYJKwYBBAHaRw8BAQdAPwmJlL3ZFu1AUxl5NOSofIBzOhKA1i+AEJku
Q+47JAY=
-----END PGP PUBLIC KEY BLOCK-----
"""


def test_key_of_a_repository_that_is_another(refused: Refused, shell: Callable[[str], str]) -> None:
    shell(
        f"mkdir /run/keys && printf %s {shlex.quote(KEY)} > /run/keys/key.asc && "
        "systemd-run --unit=keys --property=WorkingDirectory=/run/keys python3 -m http.server --bind 127.0.0.1 18099"
    )
    repository = {**REPOSITORY, "signed_by": "http://127.0.0.1:18099/key.asc", "fingerprint": "0" * 40}
    try:
        output = refused({"base_apt_repositories": [repository]})
    finally:
        shell("systemctl stop keys; rm -r /run/keys")
    assert "key.asc has the keys C959BDBAFA32A2F89A153B678CFDE12197965A9A, base_apt_repositories has the" in output
    assert "for 'example'" in output


def test_python_that_the_lock_does_not_support(refused: Refused, shell: Callable[[str], str]) -> None:
    shell("apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends pypy3")
    try:
        output = refused({"ansible_python_interpreter": "/usr/bin/pypy3"})
    finally:
        shell("apt-get purge -y -q --auto-remove pypy3 pypy3-lib")
    assert f"{HOST} has Python 3.11 at /usr/bin/pypy3; the lock is made for 3.12, 3.13, 3.14" in output


@pytest.mark.parametrize("content", ["", "short", "two words in it"])
def test_secret_that_is_none(refused: Refused, credentials: Path, content: str) -> None:
    credentials.mkdir(parents=True)
    (credentials / "mysql_airflow").write_text(content, encoding="utf-8")
    output = refused({})
    assert "credentials/refusals/mysql_airflow must have one line of at least 12 characters" in output


def test_fernet_key_that_is_none(refused: Refused, credentials: Path) -> None:
    credentials.mkdir(parents=True)
    (credentials / "fernet_key").write_text("this-is-no-fernet-key", encoding="utf-8")
    assert "fernet key is not 32 bytes in URL-safe base64" in refused({})


def private_key() -> str:
    """Make a private key of type EC."""
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("content", "found"), [("garbage", "no PEM"), ("EC", "ECC")])
def test_key_that_cannot_sign_reports(refused: Refused, credentials: Path, content: str, found: str) -> None:
    credentials.mkdir(parents=True)
    text = private_key() if content == "EC" else content
    (credentials / "report_private_key").write_text(text, encoding="utf-8")
    output = refused({"cwl_airflow_report_url": "https://192.0.2.1", "cwl_airflow_report_algorithm": "RS256"})
    assert found in output
    assert "cwl_airflow_report_algorithm RS256 takes RSA" in output


def test_private_key_for_tokens(refused: Refused) -> None:
    key = private_key()
    output = refused({"cwl_airflow_api_jwt_public_key": key, "cwl_airflow_api_jwt_algorithm": "ES256"})
    assert "cwl_airflow_api_jwt_public_key is no key" in output
    assert "Give the public key, as openssl" in output
    assert key.splitlines()[1] not in output


def test_limit_to_a_host_still_makes_the_secrets(inventory: Path, credentials: Path) -> None:
    done = playbook(inventory, "playbooks/credentials.yml", f"--limit={HOST}")
    assert done.returncode == 0, done.stdout
    assert len(list(credentials.iterdir())) == 8
    assert {file.stat().st_mode & 0o777 for file in credentials.iterdir()} == {0o600}


def test_no_repository_that_has_mysql(refused: Refused) -> None:
    output = refused({"base_apt_repositories": []})
    assert f"base_apt_repositories is empty for {HOST}" in output
    assert "MySQL's repository" in output


@pytest.mark.usefixtures("set_up_before")
def test_missing_credentials_of_a_host_that_was_set_up(refused: Refused) -> None:
    output = refused({})
    assert f"{HOST} was set up before" in output
    assert "credentials/refusals/airflow_admin" in output


@pytest.mark.usefixtures("set_up_before")
def test_host_of_an_earlier_release_that_needs_a_hand(refused: Refused, credentials: Path) -> None:
    credentials.mkdir(parents=True)
    for name in ("airflow_admin", "fernet_key", "jwt_secret", "webserver_secret_key"):
        (credentials / name).write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", encoding="utf-8")
    output = refused({})
    assert f"{HOST} was set up by an earlier release. Before this one:" in output
    assert "Give tools that need more a ramMin" in output
    assert "Then set site_version: 3 in the inventory." in output


@pytest.fixture
def held_port(inventory: Path) -> Iterator[int]:
    """Let a foreign program hold a port on the host."""
    program = "import socket, time; s = socket.create_server(('127.0.0.1', 8080)); time.sleep(120)"
    with subprocess.Popen(["docker", "exec", HOST, "python3", "-c", program]) as process:
        for _ in range(50):
            listing = subprocess.run(
                ["docker", "exec", HOST, "ss", "-ltnH"], capture_output=True, text=True, check=True
            ).stdout
            if ":8080 " in listing:
                break
        yield 8080
        subprocess.run(["docker", "exec", HOST, "pkill", "-f", "create_server"], check=True)
        process.wait()


def test_port_that_a_foreign_process_holds(refused: Refused, held_port: int) -> None:
    output = refused({})
    assert f"Port {held_port} of {HOST} is held by" in output
    assert "airflow_webserver_port" in output


def test_operating_system_that_is_not_supported(refused: Refused, shell: Callable[[str], str]) -> None:
    shell(
        "cp /usr/lib/os-release /run/os-release && sed -i 's/13/12/; s/trixie/bookworm/' /usr/lib/os-release; "
        "cp -p /etc/debian_version /run/; echo 12.12 > /etc/debian_version"
    )
    try:
        output = refused({})
    finally:
        shell("cp /run/os-release /usr/lib/os-release; cp -p /run/debian_version /etc/debian_version")
    assert f"{HOST} runs Debian 12" in output
    assert "carries MariaDB only, on which Airflow 3 does not run" in output
    assert "Supported are Debian 13, Ubuntu 24.04, Ubuntu 26.04" in output


@pytest.mark.parametrize(
    ("variables", "fragments"),
    [
        (
            {"vagrant_guest_modules": ["ahci\nx"]},
            ['vagrant_guest_modules[] has "ahci\\nx"', "without control characters"],
        ),
        (
            {"vagrant_guest_user": "vagrant ALL=(ALL) ALL #", "vagrant_guest_modules": ["ahci x=1"]},
            ["vagrant_guest_user has", 'vagrant_guest_modules has "ahci x=1"'],
        ),
    ],
)
def test_value_that_breaks_out_in_a_box(refused: Refused, variables: dict[str, object], fragments: list[str]) -> None:
    output = refused(variables, name="playbooks/box/guest.yml")
    for fragment in fragments:
        assert fragment in output


def test_password_that_flower_takes_for_several(refused: Refused, credentials: Path) -> None:
    credentials.mkdir(parents=True)
    (credentials / "airflow_admin").write_text("first-password,other:second-password", encoding="utf-8")
    output = refused({})
    assert "airflow_admin_password (credentials/<site_name>/airflow_admin) has a comma" in output
    assert "second-password" not in output


def test_bridge_of_the_hosts_own(refused: Refused, shell: Callable[[str], str]) -> None:
    shell("ip link add br-lan type bridge")
    try:
        output = refused({})
    finally:
        shell("ip link delete br-lan")
    assert f"{HOST} has the network interface br-lan, which docker_container_bridges (docker0, br-*)" in output


def test_login_with_a_password(
    refused: Refused, shell: Callable[[str], str], change_inventory: ChangeInventory
) -> None:
    """It is the operator's only way in, and sshd would no longer take it."""
    shell("useradd alice && echo alice:correct-horse | chpasswd")
    shell("echo 'alice ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/alice")

    def log_in(whole: Any) -> None:
        whole["vars"] |= {
            "ansible_connection": "ssh",
            "ansible_host": shell("hostname --ip-address").split()[0],
            "ansible_user": "alice",
            "ansible_password": "correct-horse",
            "ansible_host_key_checking": False,
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        }

    try:
        output = refused({}, changed_inventory=change_inventory(log_in))
    finally:
        shell("rm /etc/sudoers.d/alice && userdel alice")
    assert (
        f"Ansible logs in to {HOST} with a password (ansible_password or --ask-pass), which sshd would no longer take"
        in output
    )
    assert "set base_sshd_options to {PasswordAuthentication: true}" in output
    assert "correct-horse" not in output
