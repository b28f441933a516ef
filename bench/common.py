"""What the benchmarks share: hosts, workflows, and the page that they write."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[1]
#: Where stand-in hosts have MySQL from.
REPOSITORIES = PROJECT / "playbooks/standin/repositories.yml"
PAGE = PROJECT / "docs/benchmarks.md"


def say(text: str) -> None:
    """Show what is being done."""
    print(f"==> {text}", flush=True)


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that must work; its output goes to a log that is shown when it does not."""
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


def playbook(inventory: Path, name: str, *arguments: str) -> tuple[float, str]:
    """Run a playbook.

    :returns: seconds and output.
    """
    began = time.monotonic()
    done = run(str(PROJECT / ".venv/bin/ansible-playbook"), "-i", str(inventory), name, *arguments)
    return time.monotonic() - began, done.stdout


def unchanged(inventory: Path, name: str, *arguments: str) -> tuple[float, str]:
    """Run a playbook that must find nothing to change.

    :returns: seconds and output.
    """
    seconds, output = playbook(inventory, name, *arguments)
    if re.search(r" changed=[1-9]", output):
        sys.exit(f"{name} changed something, the second time")
    return seconds, output


def write_inventory(
    inventory: Path, hosts: dict[str, Any], groups: dict[str, list[str]], variables: dict[str, Any]
) -> None:
    """Write the inventory of a site of stand-in hosts.

    :param inventory: its folder; the site and what belongs to its hosts has the same name.
    :param hosts: variables of each.
    :param groups: hosts of each.
    :param variables: of all hosts.
    """
    children: dict[str, Any] = {group: {"hosts": {key: {} for key in names}} for group, names in groups.items()}
    children["standin"] = {"hosts": {key: {} for key in hosts}}
    everywhere = {
        "site_name": inventory.name,
        "standin_prefix": inventory.name,
        "ansible_connection": "docker",
        "docker_registry_mirrors": ["http://registry:5000"],
        **yaml.safe_load(REPOSITORIES.read_text()),
        **variables,
    }
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": children}}))
    (inventory / "group_vars/all.yml").write_text(yaml.safe_dump(everywhere))


def remove_site(inventory: Path) -> None:
    """Remove hosts and credentials of a site."""
    if inventory.exists():
        playbook(inventory, "playbooks/standin/destroy.yml")
    shutil.rmtree(PROJECT / "credentials" / inventory.name, ignore_errors=True)


def write_workflow(folder: Path, document: dict[str, Any], job: dict[str, Any], tool: dict[str, Any]) -> None:
    """Write the folder of a workflow with its tool, its job and its DAG file."""
    folder.mkdir(parents=True)
    (folder / "tool.cwl").write_text(json.dumps({"cwlVersion": "v1.0", "class": "CommandLineTool", **tool}))
    (folder / f"{folder.name}.cwl").write_text(json.dumps({"cwlVersion": "v1.0", "class": "Workflow", **document}))
    (folder / "text.txt").write_text("text\n")
    (folder / "job.yml").write_text(json.dumps(job))
    write_dag_file(folder)


def write_dag_file(folder: Path) -> None:
    """Write the DAG file of a workflow."""
    (folder / "dag.py").write_text(
        "from pathlib import Path\n\nfrom cwl_airflow.extensions.cwldag import CWLDAG\n\n"
        f'dag = CWLDAG(workflow=str(Path(__file__).parent / "{folder.name}.cwl"), dag_id="{folder.name}")\n'
    )


def shell(host: str, command: str) -> str:
    """Run a shell command on a host."""
    return run("docker", "exec", host, "sh", "-c", command).stdout


#: For each unit: its name, the memory of its processes (PSS, MiB), and the CPU time that they have had (s).
UNITS = """
for unit in $(systemctl list-units --plain --no-legend --type=service \\
    'airflow-*' mysql.service rabbitmq-server.service docker.service containerd.service | cut -d ' ' -f 1); do
  group=$(systemctl show --property=ControlGroup --value "$unit")/cgroup.procs
  for pid in $(cat "/sys/fs/cgroup$group" "/sys/fs/cgroup/systemd$group" 2> /dev/null | sort -u); do
    cat "/proc/$pid/smaps_rollup" "/proc/$pid/stat" 2> /dev/null
  done | awk -v unit="${unit%.service}" -v ticks="$(getconf CLK_TCK)" '
    /^Pss:/ {pss += $2} sub(/^[0-9]+ [(].*[)] /, "") {cpu += $12 + $13 + $14 + $15}
    END {print unit, pss / 1024, cpu / ticks}'
done"""


def unit_costs(host: str) -> dict[str, tuple[float, float]]:
    """Return the memory (MiB) and the CPU time so far (s) of each service of a host."""
    lines = (line.split() for line in shell(host, UNITS).splitlines())
    return {unit: (float(memory), float(seconds)) for unit, memory, seconds in lines}


def cpu() -> float:
    """Return the CPU seconds that this machine has spent so far."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def write_section(title: str, lines: list[str]) -> None:
    """Write one part of the page of the benchmarks, and show it.

    :param title: its heading; what stood there is replaced.
    """
    kernel = platform.release().partition("-")[0]  # without who built it
    machine = f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, Linux {kernel}."
    text = "\n".join([f"## {title}", "", machine, "", *lines, ""])
    intro, *sections = re.split(r"^(?=## )", PAGE.read_text(), flags=re.MULTILINE)
    kept = [section.rstrip() for section in sections if not section.startswith(f"## {title}\n")]
    order = {section.partition("\n")[0]: section for section in (*kept, text.rstrip())}
    PAGE.write_text("\n\n".join([intro.rstrip(), *(order[heading] for heading in sorted(order))]) + "\n")
    print(text)
