"""A site gets a release with another lock while a run is at work: at first in vain, then for good."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from api import AIRFLOW, ask
from conftest import SERVICES
from dags import DAGS, containers, wait_for
from locks import OTHER, other_lock
from test_faults import CHAIN
from test_site import PROJECT, converge, interrupt, playbook

KEPT = "/var/lib/cwl-airflow-release-before"


@pytest.fixture(scope="module")
def requirements(tmp_path_factory):
    """Return a folder with a lock that is another one."""
    return other_lock(tmp_path_factory.mktemp("other"))


def upgrade(folder, *arguments, **variables):
    """Upgrade the site, and return whether that went well and what was said."""
    command = playbook(*arguments, name="playbooks/upgrade.yml", airflow_requirements=str(folder), **variables)
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=2400)
    print(done.stdout, done.stderr)  # pytest shows it where something is wrong
    return done.returncode == 0, " ".join(done.stdout.split())


def release(host):
    """Return the release of the host, and which humanize is in it."""
    version = "from importlib.metadata import version; print(version('humanize'))"
    link = host.check_output("readlink /opt/airflow")
    return link, host.check_output(f'/opt/airflow/bin/python -c "{version}"')


def state(host):
    """Return the modes of folders, and the sums of the files that make the release."""
    folders = "/ /etc /opt /usr /usr/local/bin /etc/systemd/system /etc/airflow"
    modes = host.check_output(f"stat --format='%n %U %G %a' {folders}")
    files = "/etc/airflow /etc/default/airflow /etc/systemd/system/airflow-*"
    return modes + host.check_output(f"find {files} -type f -exec sha256sum {{}} + | sort")


def rows(host):
    """Return what the database knows of the runs that have ended."""
    what = "dag_id, run_id, state, start_date, end_date"
    query = f"SELECT {what} FROM airflow.dag_run WHERE end_date IS NOT NULL ORDER BY id"
    return host.check_output(f'mysql --skip-column-names --execute="{query}"').splitlines()


def running(host):
    """Return the services that run."""
    return {name for name in SERVICES if host.run(f"systemctl is-active {name}").stdout.strip() == "active"}


def began(host):
    """Return since when each service runs."""
    return host.check_output(f"systemctl show --property=Id,ExecMainStartTimestamp {' '.join(SERVICES)}")


def test_an_upgrade_is_of_the_whole_site(host, requirements):
    before = release(host)
    well, said = upgrade(requirements, "--tags=airflow")
    assert not well
    assert "--tags would leave out a part of it: run it without." in said
    assert release(host) == before
    assert running(host) == {*SERVICES}


@pytest.mark.full
def test_a_lock_that_the_index_does_not_have_stops_nothing(host, requirements, tmp_path):
    before, files = release(host), state(host)
    folder = tmp_path / "airflow"
    shutil.copytree(requirements, folder)
    lock = (folder / "requirements.txt").read_text(encoding="utf-8")
    wrong = re.sub("sha256:[0-9a-f]+", f"sha256:{'0' * 64}", OTHER)
    assert OTHER in lock
    (folder / "requirements.txt").write_text(lock.replace(OTHER, wrong), encoding="utf-8")
    since = began(host)
    well, said = upgrade(folder)
    assert not well
    assert "humanize==4.15.0. Restore the file, or run make lock." in said
    assert release(host) == before
    assert state(host) == files
    assert not host.file(KEPT).exists
    assert began(host) == since
    said = converge()
    assert "changed=0 " in said, said


@pytest.mark.full
def test_a_dag_file_that_cannot_be_read_stops_an_upgrade_before_it_begins(host, requirements):
    before, file = release(host), f"{DAGS}/test-broken.py"

    def found():
        return ask(host, "GET", f"{AIRFLOW}/importErrors")["total_entries"]

    host.check_output(f"echo 'import airflow; dag =' > {file}")
    try:
        wait_for("import error", found, 90)
        well, said = upgrade(requirements)
    finally:
        host.check_output(f"rm {file}")
        wait_for("end of the import error", lambda: not found(), 90)
    assert not well
    assert "Airflow cannot read test-broken.py" in said
    assert release(host) == before
    assert running(host) == {*SERVICES}


@pytest.mark.full
def test_after_an_upgrade_that_failed_all_is_as_before(host, dag, requirements):
    before, files = release(host), state(host)
    dag.write(CHAIN)
    dag.known()
    dag.trigger({"job": {}})
    wait_for("second step", lambda: containers(host, "echo two"), 90)
    known = rows(host)
    # What the new release changes is seen by its proof alone, which gets no time.
    changed = {"airflow_config": {"core": {"parallelism": 33}}, "verify_timeout": 1}
    well, said = upgrade(requirements, **changed)
    assert not well
    assert 'The upgrade has failed at "Prove it"' in said
    assert "The site runs the release and the database of before again" in said
    assert release(host) == before
    assert state(host) == files
    assert not host.file(KEPT).exists
    assert running(host) == {*SERVICES}
    assert rows(host)[: len(known)] == known
    # The step that ran was waited for, and the run goes on.
    assert dag.ended() == "success"
    assert not host.run(f"ls {dag.logs('two')}/attempt=2.log").succeeded
    assert not containers(host)


@pytest.mark.full
def test_an_upgrade_that_is_killed_can_be_undone(host, requirements):
    before, files = release(host), state(host)
    interrupt("airflow : Write the units", name="playbooks/upgrade.yml", airflow_requirements=str(requirements))
    at_work = ["pgrep", "--full", str(requirements)]
    wait_for("end of site.yml", lambda: subprocess.run(at_work, check=False, capture_output=True).returncode == 1, 60)
    refused = subprocess.run(playbook(), cwd=PROJECT, capture_output=True, text=True, check=False)
    assert "An upgrade of this site was interrupted." in refused.stdout
    assert "changed=0 " in refused.stdout
    undone = playbook(name="playbooks/upgrade/undo.yml")
    done = subprocess.run(undone, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:]
    assert release(host) == before
    assert state(host) == files
    assert running(host) == {*SERVICES}
    converge()


@pytest.mark.full
def test_an_upgrade(host, requirements):
    before, known = release(host), rows(host)
    well, said = upgrade(requirements)
    assert well, said[-2000:]
    after = release(host)
    assert after[0] != before[0]
    assert after[1] == "4.15.0" != before[1]
    assert running(host) == {*SERVICES}
    assert rows(host)[: len(known)] == known
    assert not host.file(KEPT).exists
    assert host.check_output("ls -d /opt/airflow-releases/????????????").split() == sorted([before[0], after[0]])
    assert ask(host, "GET", f"{AIRFLOW}/version")["version"]
    assert not host.check_output("cat /run/cwl-airflow-site.lock")
