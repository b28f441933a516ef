"""What lynis finds on the host, and what the role `hardening` promises beside it."""

from __future__ import annotations

import pytest

LEAST_INDEX = 80


@pytest.fixture(scope="module")
def report(host):
    """Return what lynis reports, by name. It is not there before and afterwards."""
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends lynis")
    try:
        host.check_output("lynis audit system --quick --no-colors")
        lines = host.file("/var/log/lynis-report.dat").content_string.splitlines()
    finally:
        host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge --yes --quiet lynis")
        host.check_output("rm -f /var/log/lynis.log /var/log/lynis-report.dat")
    found: dict[str, list[str]] = {}
    for name, separator, value in (line.partition("=") for line in lines):
        if separator:
            found.setdefault(name.removesuffix("[]"), []).append(value.rstrip("|-"))
    return found


def test_the_auditor_gives_enough(report, capsys):
    left = [f"{kind}: {text}" for kind in ("warning", "suggestion") for text in report.get(kind, [])]
    with capsys.disabled():
        print("", f"lynis gives {report['hardening_index'][0]}. It is left:", *left, sep="\n")
    assert int(report["hardening_index"][0]) >= LEAST_INDEX, left


def test_the_kernel_of_the_machine_is_not_the_hosts_to_set(host):
    """A stand-in host shares it with the machine that it runs on, and with all that runs there."""
    value = host.check_output("sysctl --values kernel.dmesg_restrict")
    assert "permission denied" in host.run(f"sysctl --write kernel.dmesg_restrict={value}").stderr


@pytest.mark.parametrize(
    "setting",
    ["net.ipv4.ip_forward = 1", "net.ipv4.conf.all.accept_redirects = 0", "net.ipv4.conf.eth0.send_redirects = 0"],
)
def test_setting_of_the_kernel_holds(host, setting):
    assert host.check_output(f"sysctl {setting.split(' ')[0]}") == setting


def test_uncommon_protocols_are_blocked(report):
    assert not [text for text in report["suggestion"] if text.startswith("NETW-3200")]


def test_a_changed_file_is_in_the_journal(host):
    path = "/etc/made-by-a-test"
    host.check_output("systemctl start integrity-check")
    try:
        host.check_output(f"date > {path} && systemctl start integrity-check")
    finally:
        host.check_output(f"rm {path}")
    host.check_output("journalctl --sync")
    assert path in host.check_output("journalctl --unit=integrity-check --no-pager --since=-5min --output=cat")


def test_a_login_shell_ends_and_dumps_nothing(host):
    shell = "runuser --login nobody --shell=/bin/bash --command"
    assert host.check_output(f"{shell} 'bash --login -i -c \"echo \\$TMOUT; ulimit -Hc\"'").split() == ["3600", "0"]
    assert not host.check_output(f"{shell} 'echo $TMOUT'")
