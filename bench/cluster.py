"""Measure sites of several stand-in hosts, print tables, and keep them in docs/benchmarks.md.

How long ``site.yml`` takes for one host and for more, how much faster more workers are, and how long tasks wait
before they run when many runs begin at once. All hosts share the cores of this machine, so that the steps sleep.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT / "bench"), str(PROJECT / "cwl_airflow/src")]
from common import (  # noqa: E402  # from the checkout
    cpu,
    playbook,
    remove_site,
    say,
    shell,
    unchanged,
    unit_costs,
    write_inventory,
    write_section,
    write_workflow,
)
from cwl_airflow.rest import AirflowClient  # noqa: E402

BUILD = PROJECT / "build/bench-cluster"
#: Of a site of one host, and of one that grows from five hosts to eight.
ONE, MANY = BUILD / "bench-one", BUILD / "bench-many"
PREFIX = "192.168.66."
DATABASE, HEAD = "bench-db", "bench-head"
NODES = [f"bench-node-{number}" for number in range(1, 6)]
HOSTS = [DATABASE, "bench-mq", HEAD, *NODES]
SERVICES = ["database", "broker", "webserver", "scheduler", "worker", "proxy", "flower", "cwl_api"]
#: Of a worker.
SLOTS = 4
STEPS, SECONDS = 60, 30
WORKERS = (1, 2, 4)
RUNS = (1, 10, 50, 200)
#: Seconds that runs may take.
TIMEOUT = 1800
#: Seconds of a task or run between two events, from Airflow's database.
WAITS = {
    "run begun": ("dag_run", "GREATEST(queued_at, '{since}')", "start_date"),
    "task handed to the broker": ("task_instance", "scheduled_dttm", "queued_dttm"),
    "task running": ("task_instance", "queued_dttm", "start_date"),
}


#: Seconds to claim and to give back what is free, and of CPU in each second that is waited.
CLAIMS = """
import json, threading, time
from cwl_airflow.runs.limits import Resources
from cwl_airflow.runs.shares import held_share, host_resources

def hold(seconds, wanted):
    with held_share(wanted, lambda _: None):
        time.sleep(seconds)

everything = host_resources()
part = Resources(everything.cores / 4, everything.ram / 4)
began = time.perf_counter()
for _ in range(1000):
    hold(0, part)
taken = (time.perf_counter() - began) / 1000
with held_share(everything, lambda _: None):
    waiter = threading.Thread(target=hold, args=(0, part))
    waiter.start()
    began = time.process_time()
    time.sleep(10)
    waited = (time.process_time() - began) / 10
waiter.join()
print(json.dumps([taken, waited]))
"""


def write_sites(hosts: list[str]) -> None:
    """Write the inventories: of one host, and of some of many."""
    shutil.rmtree(ONE, ignore_errors=True)
    shutil.rmtree(MANY, ignore_errors=True)
    variables: dict[str, Any] = {
        "airflow_worker_concurrency": SLOTS,
        # Wheels are compiled for each site, as for a first one.
        "airflow_wheel_cache": "{{ inventory_dir }}-wheels",
        # All that are triggered at once.
        "airflow_config": {"core": {"max_active_runs_per_dag": max(RUNS)}},
        # All hosts have this machine's cores: steps that sleep need none.
        "cwl_airflow_config": {"share_host": False},
        "cwl_airflow_site_workflows": [str(BUILD / "sleep"), str(BUILD / "true")],
    }
    write_inventory(ONE, {"bench-one": {}}, {key: ["bench-one"] for key in SERVICES}, variables)
    nodes = [node for node in NODES if node in hosts]
    groups = {
        "database": [DATABASE],
        "broker": ["bench-mq"],
        **{key: [HEAD] for key in ["webserver", "proxy", "flower", "cwl_api"]},
        "scheduler": [HEAD, NODES[0]],
        "worker": nodes,
    }
    addresses = {host: {"site_address": f"{PREFIX}{10 + HOSTS.index(host)}"} for host in hosts}
    several = {
        "standin_ipam": [{"subnet": f"{PREFIX}0/24", "iprange": f"{PREFIX}128/25"}],
        "standin_shared": {"cwl": "/var/lib/airflow/cwl", "dags": "/var/lib/airflow/dags"},
    }
    write_inventory(MANY, addresses, groups, variables | several)


def write_workflows() -> None:
    """Write a workflow of independent steps that sleep, and one of a step that does nothing."""
    for name, number, command in (("sleep", STEPS, ["sleep", str(SECONDS)]), ("true", 1, ["true"])):
        steps = {f"step{n:02}": {"run": "tool.cwl", "in": {}, "out": []} for n in range(number)}
        tool = {"arguments": command, "inputs": {}, "outputs": []}
        write_workflow(BUILD / name, {"inputs": {}, "steps": steps, "outputs": []}, {}, tool)


def airflow() -> AirflowClient:
    """Return Airflow's REST API of the site of several hosts, by its one address."""
    credentials = PROJECT / "credentials" / MANY.name
    os.environ["REQUESTS_CA_BUNDLE"] = str(credentials / "ca.pem")
    password = (credentials / "airflow_admin").read_text().strip()
    return AirflowClient(f"https://{PREFIX}{10 + HOSTS.index(HEAD)}", "admin", password, pause=0.2)


def query(statement: str) -> list[list[str]]:
    """Ask Airflow's database."""
    table = shell(DATABASE, f'mysql --batch --skip-column-names airflow --execute="{statement}"')
    return [line.split("\t") for line in table.splitlines()]


def use_workers(number: int) -> None:
    """Let so many hosts take tasks, and no others."""
    for position, node in enumerate(NODES):
        shell(node, f"systemctl {'start' if position < number else 'stop'} airflow-worker")


def run_once(client: AirflowClient, dag: str) -> tuple[float, float]:
    """Run a workflow.

    :returns: seconds from trigger to success, and CPU seconds of the machine.
    """
    name, before, began = f"bench-{time.time()}", cpu(), time.monotonic()
    client.trigger(dag, name, {"job": {}})
    client.wait_for_run(dag, name, began + TIMEOUT)
    return time.monotonic() - began, cpu() - before


def run_many(client: AirflowClient, dag: str, number: int) -> tuple[float, dict[str, list[float]]]:
    """Let many runs begin at once.

    :returns: seconds until all have ended well, and how long each run and task waited, by what for.
    """
    client.request("PATCH", f"dags/{dag}", json={"is_paused": True})
    prefix = f"many-{number}-"
    for position in range(number):
        client.trigger(dag, f"{prefix}{position}", {"job": {}})
    since, began = query("SELECT UTC_TIMESTAMP(6)")[0][0], time.monotonic()
    client.request("PATCH", f"dags/{dag}", json={"is_paused": False})
    while (states := query(f"SELECT DISTINCT state FROM dag_run WHERE run_id LIKE '{prefix}%'")) != [["success"]]:  # nosec B608
        if ["failed"] in states or time.monotonic() - began > TIMEOUT:
            sys.exit(f"{dag}: not every run has succeeded")
        time.sleep(1)
    seconds, waits = time.monotonic() - began, {}
    for what, (table, first, last) in WAITS.items():
        difference = f"TIMESTAMPDIFF(MICROSECOND, {first.format(since=since)}, {last}) / 1e6"
        rows = query(f"SELECT {difference} FROM {table} WHERE run_id LIKE '{prefix}%' AND {last} IS NOT NULL")  # nosec B608
        waits[what] = [float(value) for (value,) in rows if value != "NULL"]
    return seconds, waits


def times_of_site() -> list[str]:
    """Set up the sites, and return a table of how long that took."""
    write_sites(HOSTS[:5])
    say("site.yml on one bare host")
    playbook(ONE, "playbooks/standin/create.yml")
    one, _ = playbook(ONE, "site.yml")
    say(f"took {one:.0f} s; again")
    one_again, _ = unchanged(ONE, "site.yml")
    remove_site(ONE)

    say(f"took {one_again:.0f} s; five bare hosts")
    playbook(MANY, "playbooks/standin/create.yml")
    five, _ = playbook(MANY, "site.yml")
    say(f"took {five:.0f} s; three more")
    write_sites(HOSTS)
    playbook(MANY, "playbooks/standin/create.yml")
    playbook(MANY, "site.yml")
    say("eight hosts again")
    eight_again, _ = unchanged(MANY, "site.yml")
    say(f"took {eight_again:.0f} s")
    return [
        "| what | seconds | compared with | seconds | ratio |",
        "| --- | ---: | --- | ---: | ---: |",
        f"| `site.yml` on five bare hosts | {five:.0f} | on one | {one:.0f} | {five / one:.2f} |",
        f"| `site.yml` again on eight hosts, nothing to change | {eight_again:.0f} | on one | {one_again:.0f} "
        f"| {eight_again / one_again:.2f} |",
    ]


def speed_of_workers(client: AirflowClient) -> list[str]:
    """Return a table of how long independent steps take on more and more workers."""
    found: dict[int, tuple[float, float]] = {}
    for number in WORKERS:
        say(f"{STEPS} steps that sleep for {SECONDS} s on {number} workers of {SLOTS} slots")
        use_workers(number)
        run_once(client, "true")
        time.sleep(SECONDS)
        before, began = cpu(), time.monotonic()
        time.sleep(SECONDS)
        idle = (cpu() - before) / (time.monotonic() - began)
        seconds, spent = run_once(client, "sleep")
        found[number] = seconds, (spent - idle * seconds) / STEPS
    slowest = found[WORKERS[0]][0]
    return [
        f"{STEPS} independent steps that sleep for {SECONDS} s, on workers of {SLOTS} slots:",
        "",
        "| workers | seconds | times as fast as one | CPU seconds of the machine per step, above idle |",
        "| ---: | ---: | ---: | ---: |",
        *(
            f"| {number} | {seconds:.0f} | {slowest / seconds:.2f} | {spent:.2f} |"
            for number, (seconds, spent) in found.items()
        ),
    ]


def connections() -> dict[str, dict[str, int]]:
    """Return how many connections database and broker have of each host."""
    rows = query("SELECT SUBSTRING_INDEX(host, ':', 1), COUNT(*) FROM information_schema.processlist GROUP BY 1")
    lines = shell("bench-mq", "rabbitmqctl --quiet list_connections peer_host").split()
    names = {f"{PREFIX}{10 + position}": host for position, host in enumerate(HOSTS)}
    return {
        "database": {names[address]: int(number) for address, number in rows if address in names},
        "broker": {name: lines.count(address) for address, name in names.items() if address in lines},
    }


def seconds_of_units() -> dict[str, float]:
    """Return the CPU time so far (s) of each service, on all hosts together."""
    found: dict[str, float] = {}
    for host in HOSTS:
        for unit, (_, seconds) in unit_costs(host).items():
            found[unit] = found.get(unit, 0) + seconds
    return found


def costs(client: AirflowClient) -> list[str]:
    """Return what a worker takes of database and broker, a step of each service, and what it leaves, as tables."""
    logs = "du --summarize --bytes --total /var/lib/airflow/logs | tail -n 1 | cut -f 1"
    use_workers(WORKERS[-1])
    workers = NODES[1 : WORKERS[-1]]  # the first one is a scheduler too
    run_once(client, "true")
    idle, before = connections(), sum(int(shell(node, logs)) for node in NODES)
    at_first, resting = seconds_of_units(), time.monotonic()
    time.sleep(SECONDS)
    rested, name, began = seconds_of_units(), f"bench-{time.time()}", time.monotonic()
    client.trigger("sleep", name, {"job": {}})
    time.sleep(SECONDS)
    busy = connections()
    client.wait_for_run("sleep", name, began + TIMEOUT)
    part = (time.monotonic() - began) / (began - resting)
    spent = {
        unit: (seconds - rested[unit] - part * (rested[unit] - at_first[unit])) / STEPS
        for unit, seconds in seconds_of_units().items()
    }
    written = sum(int(shell(node, logs)) for node in NODES) - before

    def most(found: dict[str, int], hosts: list[str]) -> int:
        return max(found.get(host, 0) for host in hosts)

    rows = [
        f"| {kind} | {most(idle[kind], workers)} | {most(busy[kind], workers)} | {most(busy[kind], NODES[:1])} "
        f"| {most(busy[kind], [HEAD])} |"
        for kind in ("database", "broker")
    ]
    return [
        f"Connections of one host, with {SLOTS} slots, at most:",
        "",
        "| to | worker, idle | worker, all slots at work | worker and scheduler | web pages and scheduler |",
        "| --- | ---: | ---: | ---: | ---: |",
        *rows,
        "",
        "| service | CPU seconds per step, above idle, on all hosts |",
        "| --- | ---: |",
        *(f"| {unit} | {seconds:.3f} |" for unit, seconds in sorted(spent.items()) if seconds >= 0.001),
        "",
        f"Logs of a step without output: {written / STEPS / 1000:.1f} kB on its worker.",
        "",
        claims(),
    ]


def claims() -> str:
    """Return what it costs that the steps of a host never take more together than it has."""
    taken, waited = json.loads(shell(NODES[0], f"/opt/airflow/bin/python -c {shlex.quote(CLAIMS)}"))
    return (
        f"That the steps of a host take no more together than it has costs each {1000 * taken:.1f} ms, and "
        f"{100 * waited:.2f} % of a core while one waits."
    )


def lags(client: AirflowClient) -> list[str]:
    """Return a table of how long runs and tasks wait when many runs begin at once."""
    use_workers(WORKERS[-1])
    run_once(client, "true")
    rows = []
    for number in RUNS:
        say(f"{number} runs at once")
        seconds, waits = run_many(client, "true", number)
        cells = [f"{statistics.median(each):.1f} ({max(each):.1f})" for each in waits.values()]
        rows.append(f"| {number} | {seconds:.0f} | {' | '.join(cells)} |")
    return [
        f"Runs of a step that does nothing, begun at once, on {WORKERS[-1]} workers: seconds until all have ended, and"
        " of waiting, median (longest):",
        "",
        f"| runs | all ended | {' | '.join(WAITS)} |",
        "| ---: | ---: | " + " | ".join(["---:"] * len(WAITS)) + " |",
        *rows,
    ]


def clean_up() -> None:
    """Remove what the benchmark made."""
    for site in (ONE, MANY):
        remove_site(site)
    shutil.rmtree(BUILD, ignore_errors=True)


def main() -> None:
    """Run the benchmark."""
    clean_up()
    BUILD.mkdir(parents=True)
    write_workflows()
    try:
        times = times_of_site()
        client = airflow()
        for dag in ("sleep", "true"):
            client.wait_for_dag(dag, f"/var/lib/airflow/dags/{dag}", time.monotonic() + TIMEOUT)
        parts = [times, speed_of_workers(client), costs(client), lags(client)]
        write_section("Several hosts", [line for part in parts for line in (*part, "")][:-1])
    finally:
        clean_up()


if __name__ == "__main__":
    main()
