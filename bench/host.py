"""Measure on fresh stand-in hosts, print a table, and keep it in docs/benchmarks.md.

Everything is measured in one run on one machine, so the ratios mean something where the seconds do not:
a fresh ``site.yml`` against a plain shell script with the same installs (bench/plain.sh), a second run
with nothing to change, and workflows through Airflow against cwltool on the same host.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jinja2
import yaml

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "bench"), str(PROJECT / "cwl_airflow/src")]
from common import (  # noqa: E402  # from the checkout
    REPOSITORIES,
    cpu,
    playbook,
    remove_site,
    run,
    say,
    shell,
    unchanged,
    unit_costs,
    write_dag_file,
    write_inventory,
    write_section,
    write_workflow,
)
from cwl_airflow.rest import AirflowClient, DeadlineExceeded, RestError, RunFailed  # noqa: E402
from large import write_large_document  # noqa: E402

BUILD = PROJECT / "build/bench"
#: Of the site, which has its name.
INVENTORY = BUILD / "bench"
SITE, PLAIN = "bench-site", "bench-plain"
STEPS = 10
JOBS = 200
WAITS = 40
PARSED_STEPS = 100
#: Runs of a workflow of two steps that are triggered at once.
RUNS = 100
#: For how long an idle host is looked at, in seconds, after as long a pause.
IDLE = 60
LARGE_STEPS, LARGE_FILES = 30, 200
REPEATS = 3
WORKFLOWS = ("chain", "plain", "pair", "long", "large", "scatter", "waits")
#: Seconds that a run may take, and between two looks at it: as short as makes no difference to what is measured.
TIMEOUT, PAUSE = 600, 0.1


def write_site() -> None:
    """Write an inventory with a host for site.yml and one for the plain script."""
    variables = {
        # Wheels are compiled in this run too, as the plain script does.
        "airflow_wheel_cache": str(BUILD / "wheels"),
        "cwl_airflow_site_workflows": [str(BUILD / name) for name in WORKFLOWS],
    }
    groups = ["database", "broker", "webserver", "scheduler", "worker", "flower", "cwl_api"]
    write_inventory(INVENTORY, {SITE: {}, PLAIN: {}}, {key: [SITE] for key in groups}, variables)


def write_repositories() -> None:
    """Write what the role base would for the package repositories of stand-in hosts, for the plain script."""
    loader = jinja2.FileSystemLoader(PROJECT / "roles/base/templates")
    templates = jinja2.Environment(loader=loader, trim_blocks=True)  # nosec B701  # no HTML
    templates.filters["comment"] = lambda text: f"# {text}"
    (BUILD / "apt").mkdir()
    for item in yaml.safe_load(REPOSITORIES.read_text())["base_apt_repositories"]:
        values = {"item": item, "__key": item["signed_by"], "ansible_managed": "Written by make bench"}
        for suffix in ("sources", "pref"):
            text = templates.get_template(f"repository.{suffix}.j2").render(values)
            (BUILD / f"apt/{item['name']}.{suffix}").write_text(f"{text}\n")


def chain(length: int) -> dict[str, Any]:
    """Return a workflow of steps, each waiting for the one before."""
    steps = {
        f"step{n:03}": {"run": "tool.cwl", "in": {"text": f"step{n - 1:03}/copy" if n else "text"}, "out": ["copy"]}
        for n in range(length)
    }
    outputs = {"copy": {"type": "File", "outputSource": f"step{length - 1:03}/copy"}}
    return {"inputs": {"text": "File"}, "steps": steps, "outputs": outputs}


def write_workflows() -> None:
    """Write a chain of Docker steps, a scatter of many small jobs, and documents that are only read."""
    copy = {
        "hints": {"DockerRequirement": {"dockerPull": "debian:trixie-slim"}},
        "baseCommand": "cat",
        "inputs": {"text": {"type": "File", "inputBinding": {}}},
        "outputs": {"copy": {"type": "stdout"}},
    }
    text = {"text": {"class": "File", "path": "/var/lib/airflow/dags/chain/text.txt"}}
    write_workflow(BUILD / "chain", chain(STEPS), text, copy)
    write_workflow(BUILD / "long", chain(PARSED_STEPS), text, copy)
    plain = {key: value for key, value in copy.items() if key != "hints"}
    write_workflow(BUILD / "plain", chain(STEPS), text, plain)
    write_workflow(BUILD / "pair", chain(2), text, plain)
    # A server that nobody can reach, as at a site without the Internet.
    write_large_document(BUILD / "large", "https://terms.invalid/terms.rdf", LARGE_STEPS, LARGE_FILES)
    write_dag_file(BUILD / "large")
    scatter = {
        "requirements": {"ScatterFeatureRequirement": {}},
        "inputs": {"numbers": "int[]"},
        "steps": {"each": {"run": "tool.cwl", "scatter": "number", "in": {"number": "numbers"}, "out": []}},
        "outputs": [],
    }
    true = {"baseCommand": "true", "inputs": {"number": "int"}, "outputs": []}
    write_workflow(BUILD / "scatter", scatter, {"numbers": list(range(JOBS))}, true)
    second = {"arguments": ["sleep", "1"], "inputs": {"number": "int"}, "outputs": []}
    write_workflow(BUILD / "waits", scatter, {"numbers": list(range(WAITS))}, second)


def airflow() -> AirflowClient:
    """Return Airflow's REST API on the host of the site."""
    password = (PROJECT / "credentials/bench/airflow_admin").read_text().strip()
    return AirflowClient(f"http://{address()}:8080", "admin", password, pause=PAUSE)


def address() -> str:
    """Return the address of the site's host on the stand-ins' network."""
    return run(
        "docker", "inspect", "-f", '{{(index .NetworkSettings.Networks "bench").IPAddress}}', SITE
    ).stdout.strip()


def through_airflow(dag: str) -> tuple[float, float]:
    """Run a workflow as a DAG.

    :returns: seconds from trigger to success, and CPU seconds of the machine.
    """
    run_id = f"bench-{time.time()}"
    job = json.loads((BUILD / dag / "job.yml").read_text())
    client, deadline = airflow(), time.monotonic() + TIMEOUT
    try:
        client.wait_for_dag(dag, f"/var/lib/airflow/dags/{dag}", deadline)
        before, began = cpu(), time.monotonic()
        client.trigger(dag, run_id, {"job": job})
        client.wait_for_run(dag, run_id, deadline)
    except (RestError, RunFailed, DeadlineExceeded) as error:
        sys.exit(f"{dag}: {error}")
    return time.monotonic() - began, cpu() - before


def through_cwltool(dag: str, *options: str) -> tuple[float, float]:
    """Run a workflow with cwltool alone.

    :returns: seconds, and CPU seconds of the machine.
    """
    before, began = cpu(), time.monotonic()
    shell(
        SITE,
        "cd /var/lib/airflow/cwl/tmp && rm -rf bench && mkdir bench && "
        f"TMPDIR=$PWD/bench /opt/airflow/bin/cwltool --quiet {' '.join(options)} "
        "--tmpdir-prefix $PWD/bench/ --tmp-outdir-prefix $PWD/bench/ --outdir $PWD/bench/out "
        f"/var/lib/airflow/dags/{dag}/{dag}.cwl /var/lib/airflow/dags/{dag}/job.yml >/dev/null",
    )
    return time.monotonic() - began, cpu() - before


def parse_seconds(dag: str) -> tuple[float, float]:
    """Read a DAG file in a process that has loaded the engine, as the dag-processor has.

    :returns: seconds, and CPU seconds of the machine.
    """
    script = (
        "import os, time; from airflow.dag_processing.dagbag import DagBag; "
        "from cwl_airflow.dags.preload import preload_engine; preload_engine(); "
        "from cwl_airflow.extensions.cwldag import CWLDAG; "
        "cpu = lambda: sum(map(int, open('/proc/stat').readline().split()[1:4])) / os.sysconf('SC_CLK_TCK'); "
        "before, began = cpu(), time.monotonic(); "
        f"bag = DagBag('/var/lib/airflow/dags/{dag}/dag.py'); "
        f"assert '{dag}' in bag.dags; print('seconds', time.monotonic() - began, cpu() - before)"
    )
    seconds, spent = shell(SITE, f'airflow-exec python -c "{script}"').split()[-2:]
    return float(seconds), float(spent)


def idle_costs() -> dict[str, tuple[float, float]]:
    """Return the memory (MiB) of each service of a host that has nothing to do, and its CPU in percent of a core."""
    time.sleep(IDLE)
    before, began = unit_costs(SITE), time.monotonic()
    time.sleep(IDLE)
    after, passed = unit_costs(SITE), time.monotonic() - began
    return {unit: (memory, 100 * (cpu - before[unit][1]) / passed) for unit, (memory, cpu) in after.items()}


def many_runs(dag: str) -> tuple[float, float]:
    """Trigger many runs at once, and look at the API meanwhile.

    :returns: seconds until all have ended, and those of the slowest answer.
    """
    client = airflow()
    client.wait_for_dag(dag, f"/var/lib/airflow/dags/{dag}", time.monotonic() + TIMEOUT)
    job, runs, slowest = json.loads((BUILD / dag / "job.yml").read_text()), f"dags/{dag}/dagRuns", 0.0
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: airflow().trigger(dag, f"many-{number}", {"job": job}), range(RUNS)))
    while client.get(runs, state="success")["total_entries"] < RUNS:
        asked = time.monotonic()
        client.get("dags", limit=10)
        slowest = max(slowest, time.monotonic() - asked)
        if client.get(runs, state="failed")["total_entries"] or time.monotonic() - began > 4 * TIMEOUT:
            sys.exit(f"{dag}: not every run has succeeded")
        time.sleep(1)
    passed = time.monotonic() - began
    tried = f"SELECT COUNT(*), MAX(try_number) FROM airflow.task_instance WHERE dag_id = '{dag}'"  # nosec B608  # a name of ours
    tasks = shell(SITE, f'mysql --skip-column-names --execute="{tried}"').split()
    if tasks != [str(RUNS * 4), "1"]:
        sys.exit(f"{dag}: {tasks[0]} tasks, and at most {tasks[1]} tries")
    return passed, slowest


def role_times(output: str) -> list[tuple[str, float]]:
    """Read the seconds per role from profile_roles' table."""
    table = output.partition("ROLES RECAP")[2].partition("~~~")[0]
    return [(name, float(seconds)) for name, seconds in re.findall(r"^([\w.]+) -+ ([\d.]+)s$", table, re.M)]


def clean_up() -> None:
    """Remove what the benchmark made."""
    remove_site(INVENTORY)
    shutil.rmtree(BUILD, ignore_errors=True)


def measure() -> list[str]:
    """Measure everything.

    :returns: the report, lines of Markdown.
    """
    say("Making two bare hosts")
    playbook(INVENTORY, "playbooks/standin/create.yml")

    say("The plain shell script")
    for name in ("requirements.txt", "compiled.txt"):
        run("docker", "exec", PLAIN, "mkdir", "-p", "/root/lock")
        run("docker", "cp", f"files/airflow/{name}", f"{PLAIN}:/root/lock/{name}")
    write_repositories()
    run("docker", "cp", str(BUILD / "apt"), f"{PLAIN}:/root/apt")
    run("docker", "cp", "bench/plain.sh", f"{PLAIN}:/root/plain.sh")
    began = time.monotonic()
    shell(PLAIN, "sh /root/plain.sh > /root/plain.log 2>&1 || { tail -n 20 /root/plain.log; exit 1; }")
    plain = time.monotonic() - began
    run("docker", "stop", PLAIN)

    say(f"took {plain:.0f} s; site.yml on a bare host")
    # The host of the plain script is in no group of site.yml, and stopped.
    variables = {"airflow_webserver_host": "0.0.0.0"}  # nosec B104  # within a container
    site = ("site.yml", f"--limit={SITE}", "--extra-vars", json.dumps(variables))
    fresh, _ = playbook(INVENTORY, *site)
    say(f"took {fresh:.0f} s; site.yml again")
    again, output = unchanged(INVENTORY, *site)
    roles = role_times(output)

    say(f"took {again:.0f} s; an idle host")
    idle = idle_costs()

    say(f"a chain of {STEPS} Docker steps, {REPEATS} times each way")
    through_airflow("chain")  # once to warm up
    alone, through = [], []
    for _ in range(REPEATS):
        alone.append(through_cwltool("chain"))
        through.append(through_airflow("chain"))
    (chain_alone, cpu_alone), (chain_through, cpu_through) = min(alone), min(through)
    per_task, per_step = cpu_through / (STEPS + 2), cpu_alone / STEPS

    say(f"{chain_alone:.1f} s and {chain_through:.1f} s; the same without containers")
    through_airflow("plain")
    plain_alone, _ = min(through_cwltool("plain") for _ in range(REPEATS))
    plain_through, _ = min(through_airflow("plain") for _ in range(REPEATS))

    say(f"{plain_alone:.1f} s and {plain_through:.1f} s; a scatter of {JOBS} jobs")
    scatter_alone, _ = min(through_cwltool("scatter", "--parallel") for _ in range(REPEATS))
    scatter_through, _ = min(through_airflow("scatter") for _ in range(REPEATS))

    say(f"{scatter_alone:.1f} s and {scatter_through:.1f} s; a scatter of {WAITS} jobs that take a second")
    waits_alone, _ = through_cwltool("waits", "--parallel")
    waits_through, _ = through_airflow("waits")

    say(f"{waits_alone:.1f} s and {waits_through:.1f} s; reading a DAG of {PARSED_STEPS} steps")
    # It would read them first.
    shell(SITE, "systemctl stop airflow-dag-processor && rm -rf /var/lib/airflow/cwl/pickle/*")
    (parse_first, _), (parse_again, _) = parse_seconds("long"), min(parse_seconds("long") for _ in range(REPEATS))
    shell(SITE, "rm -rf /var/lib/airflow/cwl/pickle/*")
    _, parse_large = parse_seconds("large")
    shell(SITE, "systemctl start airflow-dag-processor")

    say(f"{parse_first:.2f} s and {parse_again:.3f} s; {RUNS} runs at once")
    many, slowest = many_runs("pair")
    return [
        "| what | seconds | compared with | seconds | ratio |",
        "| --- | ---: | --- | ---: | ---: |",
        f"| `site.yml` on a bare host | {fresh:.0f} | plain shell script with the same installs | {plain:.0f} "
        f"| {fresh / plain:.2f} |",
        f"| `site.yml` again, nothing to change | {again:.0f} | the first time | {fresh:.0f} | {again / fresh:.2f} |",
        f"| chain of {STEPS} Docker steps, trigger to success (best of {REPEATS}) | {chain_through:.1f} "
        f"| cwltool alone on the same host | {chain_alone:.1f} | {chain_through / chain_alone:.2f} |",
        f"| the same, CPU seconds of the machine per task | {per_task:.2f} | cwltool alone, per step "
        f"| {per_step:.2f} | {per_task / per_step:.2f} |",
        f"| that chain without containers (best of {REPEATS}) | {plain_through:.1f} | cwltool alone "
        f"| {plain_alone:.1f} | {plain_through / plain_alone:.2f} |",
        f"| scatter of {JOBS} jobs of `true` (best of {REPEATS}) | {scatter_through:.1f} "
        f"| cwltool alone, with `--parallel` | {scatter_alone:.1f} | {scatter_through / scatter_alone:.2f} |",
        f"| scatter of {WAITS} jobs of `sleep 1` | {waits_through:.1f} "
        f"| cwltool alone, with `--parallel` | {waits_alone:.1f} | {waits_through / waits_alone:.2f} |",
        f"| reading a DAG of {PARSED_STEPS} steps, its plan kept | {parse_again:.3f} | the first time "
        f"| {parse_first:.2f} | {parse_again / parse_first:.2f} |",
        f"| reading a document of {LARGE_STEPS} steps with {LARGE_FILES} included files, its ontologies out of reach, "
        f"first time, CPU seconds of the machine | {parse_large:.1f} | | | |",
        "",
        f"{RUNS} runs of two steps without containers, triggered at once: {many:.0f} s until all have succeeded, no"
        f" task run twice; the slowest answer of Airflow's REST API meanwhile took {slowest:.1f} s.",
        "",
        f"An idle host, as it was installed: {sum(memory for memory, _ in idle.values()):.0f} MiB (PSS) and"
        f" {sum(cpu for _, cpu in idle.values()):.1f} % of a core.",
        "",
        "| service | memory (PSS, MiB) | CPU (% of a core) |",
        "| --- | ---: | ---: |",
        *(f"| {unit} | {memory:.0f} | {cpu:.1f} |" for unit, (memory, cpu) in sorted(idle.items())),
        "",
        "Where the second run's time goes: "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in roles[:8])
        + ".",
    ]


def main() -> None:
    """Run the benchmark."""
    clean_up()
    BUILD.mkdir(parents=True)
    write_workflows()
    write_site()
    try:
        write_section("One host", measure())
    finally:
        clean_up()


if __name__ == "__main__":
    main()
