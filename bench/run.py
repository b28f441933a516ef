"""Measure on fresh stand-in hosts, print a table, and keep it in docs/benchmarks.md.

Everything is measured in one run on one machine, so the ratios mean something where the seconds do not:
a fresh ``site.yml`` against a plain shell script with the same installs (bench/plain.sh), a second run
with nothing to change, and a chain of Docker steps through Airflow against cwltool on the same host.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[1]
BUILD = PROJECT / "build/bench"
SITE, PLAIN = "bench-site", "bench-plain"
STEPS = 10
REPEATS = 3


def say(text: str) -> None:
    """Show what is being done."""
    print(f"==> {text}", flush=True)


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that must work; its output goes to a log that is shown when it does not."""
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


def playbook(name: str, *arguments: str) -> tuple[float, str]:
    """Run a playbook against the benchmark's inventory.

    :returns: seconds and output.
    """
    began = time.monotonic()
    done = run(str(PROJECT / ".venv/bin/ansible-playbook"), "-i", str(BUILD / "inventory"), name, *arguments)
    return time.monotonic() - began, done.stdout


def write_inventory() -> None:
    """Write an inventory with a host for site.yml and one for the plain script."""
    hosts = {SITE: {"standin_published_ports": []}, PLAIN: {}}
    groups = ["database", "broker", "webserver", "scheduler", "worker", "flower", "cwl_api"]
    children: dict[str, Any] = {group: {"hosts": {SITE: {}}} for group in groups}
    children["standin"] = {"hosts": {SITE: {}, PLAIN: {}}}
    variables = {
        "site_name": "bench",
        "standin_prefix": "bench",
        "ansible_connection": "docker",
        "docker_registry_mirrors": ["http://registry:5000"],
        # Wheels are compiled in this run too, as the plain script does.
        "airflow_wheel_cache": str(BUILD / "wheels"),
        "cwl_airflow_site_workflows": [str(BUILD / "chain")],
    }
    (BUILD / "inventory/group_vars").mkdir(parents=True)
    (BUILD / "inventory/hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": children}}))
    (BUILD / "inventory/group_vars/all.yml").write_text(yaml.safe_dump(variables))


def write_chain() -> None:
    """Write a workflow of `STEPS` Docker steps, each waiting for the one before."""
    folder = BUILD / "chain"
    folder.mkdir(parents=True)
    tool = {
        "cwlVersion": "v1.0",
        "class": "CommandLineTool",
        "hints": {"DockerRequirement": {"dockerPull": "debian:bookworm-slim"}},
        "baseCommand": "cat",
        "inputs": {"text": {"type": "File", "inputBinding": {}}},
        "outputs": {"copy": {"type": "stdout"}},
    }
    steps = {
        f"step{n:02}": {
            "run": "tool.cwl",
            "in": {"text": f"step{n - 1:02}/copy" if n else "text"},
            "out": ["copy"],
        }
        for n in range(STEPS)
    }
    workflow = {
        "cwlVersion": "v1.0",
        "class": "Workflow",
        "inputs": {"text": "File"},
        "steps": steps,
        "outputs": {"copy": {"type": "File", "outputSource": f"step{STEPS - 1:02}/copy"}},
    }
    (folder / "tool.cwl").write_text(json.dumps(tool))
    (folder / "chain.cwl").write_text(json.dumps(workflow))
    (folder / "text.txt").write_text("text\n")
    (folder / "job.yml").write_text("text: {class: File, path: text.txt}\n")
    (folder / "dag.py").write_text(
        '"""A chain of Docker steps."""\n\nfrom pathlib import Path\n\n'
        "from cwl_airflow.extensions.cwldag import CWLDAG\n\n"
        'dag = CWLDAG(workflow=str(Path(__file__).parent / "chain.cwl"), dag_id="chain")\n'
    )


def shell(host: str, command: str) -> str:
    """Run a shell command on a host."""
    return run("docker", "exec", host, "sh", "-c", command).stdout


def rest(path: str, body: Any = None) -> Any:
    """Call Airflow's REST API on the host of the site."""
    password = (PROJECT / "credentials/bench/airflow_admin").read_text().strip()
    request = urllib.request.Request(
        f"http://{address()}:8080/api/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Basic " + b64encode(f"admin:{password}".encode()).decode(),
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def address() -> str:
    """Return the address of the site's host on the stand-ins' network."""
    return run(
        "docker", "inspect", "-f", '{{(index .NetworkSettings.Networks "bench").IPAddress}}', SITE
    ).stdout.strip()


def chain_through_airflow(number: int) -> float:
    """Run the chain as a DAG.

    :returns: seconds from trigger to success.
    """
    conf = {"job": {"text": {"class": "File", "path": "/var/lib/airflow/dags/chain/text.txt"}}}
    began = time.monotonic()
    for _ in range(60):
        try:
            rest("dags/chain/dagRuns", {"dag_run_id": f"bench-{number}", "conf": conf})
            break
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            time.sleep(1)
            began = time.monotonic()
    while (state := rest(f"dags/chain/dagRuns/bench-{number}")["state"]) not in ("success", "failed"):
        time.sleep(0.1)
    if state == "failed":
        sys.exit("the chain failed")
    return time.monotonic() - began


def chain_through_cwltool() -> float:
    """Run the chain with cwltool alone.

    :returns: seconds.
    """
    began = time.monotonic()
    shell(
        SITE,
        "cd /var/lib/airflow/cwl/tmp && rm -rf bench && mkdir bench && "
        "TMPDIR=$PWD/bench /opt/airflow/bin/cwltool --quiet "
        "--tmpdir-prefix $PWD/bench/ --tmp-outdir-prefix $PWD/bench/ --outdir $PWD/bench/out "
        "/var/lib/airflow/dags/chain/chain.cwl /var/lib/airflow/dags/chain/job.yml >/dev/null",
    )
    return time.monotonic() - began


def role_times(output: str) -> list[tuple[str, float]]:
    """Read the seconds per role from profile_roles' table."""
    table = output.partition("ROLES RECAP")[2].partition("~~~")[0]
    return [(name, float(seconds)) for name, seconds in re.findall(r"^([\w.]+) -+ ([\d.]+)s$", table, re.M)]


def clean_up() -> None:
    """Remove what the benchmark made."""
    if (BUILD / "inventory").exists():
        playbook("playbooks/standin/destroy.yml")
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.rmtree(PROJECT / "credentials/bench", ignore_errors=True)


def measure() -> str:
    """Measure everything.

    :returns: the report in Markdown.
    """
    say("Making two bare hosts")
    playbook("playbooks/standin/create.yml")

    say("The plain shell script")
    for name in ("requirements.txt", "compiled.txt"):
        run("docker", "exec", PLAIN, "mkdir", "-p", "/root/lock")
        run("docker", "cp", f"files/airflow/{name}", f"{PLAIN}:/root/lock/{name}")
    run("docker", "cp", "bench/plain.sh", f"{PLAIN}:/root/plain.sh")
    began = time.monotonic()
    shell(PLAIN, "sh /root/plain.sh > /root/plain.log 2>&1 || { tail -n 20 /root/plain.log; exit 1; }")
    plain = time.monotonic() - began
    run("docker", "stop", PLAIN)

    say(f"took {plain:.0f} s; site.yml on a bare host")
    # The host of the plain script is in no group of site.yml, and stopped.
    site = ("site.yml", f"--limit={SITE}", "--extra-vars", json.dumps({"airflow_webserver_host": "0.0.0.0"}))
    fresh, _ = playbook(*site)
    say(f"took {fresh:.0f} s; site.yml again")
    again, output = playbook(*site)
    if " changed=0 " not in output:
        sys.exit("the second run changed something")
    roles = role_times(output)

    say(f"took {again:.0f} s; a chain of {STEPS} Docker steps, {REPEATS} times each way")
    chain_through_airflow(0)  # once to warm up
    cwltool, airflow = [], []
    for number in range(1, REPEATS + 1):
        cwltool.append(chain_through_cwltool())
        airflow.append(chain_through_airflow(number))
    alone, through = min(cwltool), min(airflow)

    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: one run on one machine, so compare the ratios, not the seconds.",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}.",
        "",
        "| what | seconds | compared with | seconds | ratio |",
        "| --- | ---: | --- | ---: | ---: |",
        f"| `site.yml` on a bare host | {fresh:.0f} | plain shell script with the same installs | {plain:.0f} "
        f"| {fresh / plain:.2f} |",
        f"| `site.yml` again, nothing to change | {again:.0f} | the first time | {fresh:.0f} | {again / fresh:.2f} |",
        f"| chain of {STEPS} Docker steps, trigger to success (best of {REPEATS}) | {through:.1f} "
        f"| cwltool alone on the same host | {alone:.1f} | {through / alone:.2f} |",
        "",
        "Where the second run's time goes: "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in roles[:8])
        + ".",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    clean_up()
    BUILD.mkdir(parents=True)
    write_chain()
    write_inventory()
    try:
        report = measure()
    finally:
        clean_up()
    (PROJECT / "docs").mkdir(exist_ok=True)
    (PROJECT / "docs/benchmarks.md").write_text(report)
    print(report)


if __name__ == "__main__":
    main()
