"""No unit complains in its journal, but of what a test does on purpose."""

from __future__ import annotations

import json
import re

# Runs on the host: what complains since it has booted, each with its unit. Of a traceback that is its last line.
FIND = r"""
import json, os, re, subprocess, sys
wrong = re.compile(r"\[(error|critical) *\]|\b(ERROR|CRITICAL)\b|level=(error|fatal)")
begun = os.stat("/proc/1").st_mtime
command = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--since=@{begun:.0f}"]
command.append("--output-fields=MESSAGE,PRIORITY,_PID,_SYSTEMD_UNIT")
found, raised = [], {}
for line in subprocess.Popen(command, stdout=subprocess.PIPE, text=True).stdout:
    entry = json.loads(line)
    text, process, unit = entry.get("MESSAGE"), entry.get("_PID"), entry.get("_SYSTEMD_UNIT", "")
    if not isinstance(text, str) or not unit.endswith((".service", "init.scope")):
        continue
    if text.startswith("Traceback "):
        raised[process] = True
    elif process in raised:
        if text[:1].strip():
            del raised[process]
            found.append([unit, text])
    elif wrong.search(text) or int(entry.get("PRIORITY", 6)) <= 3:
        found.append([unit, text])
json.dump(found, sys.stdout)
"""
#: What tests cause, and why.
KNOWN = {
    "a run is stopped, removed or marked while its tasks run": (
        r"Task Instance not found|TI (is|was) (not|no longer) in the running state|DAG run not found on DAG"
        r"|ServerResponseError|Recovery retry of terminal-state API call failed"
    ),
    "a worker, or the supervisor of a task, is killed": (
        r"task instance without a heartbeat|reported that the task instance .* finished with state"
        r"|signal 9 \(SIGKILL\)|billiard.einfo.ExceptionWithTraceback|BrokenPipeError"
        r"|StepLost: .* (it was told to end|its supervisor went away)|EOFError: Request socket closed before length"
    ),
    "a caller tries whether SSH answers, and leaves": r"kex_exchange_identification: .*Connection (reset|closed)",
    "a program asks with a token that is none of Airflow's": r"JWT token is not valid",
    "the server of logs is asked with a token that is none": (
        r"jwt.exceptions.DecodeError|ValueError: not enough values to unpack \(expected 2, got 1\)"
    ),
    "a container has no audit system to which AIDE could send what it found": r"Failed sending audit message",
    "a step and who ends its run remove one container": r"error removing container",
    "a DAG file goes while it is read": (
        r"Failed to write serialized DAG|No such file or directory: '/var/lib/airflow/dags/"
    ),
    "a key of reports cannot sign": r"process_report_private_key (cannot sign|is not set)",
    "passwords and keys change, and services start again with the new ones": (
        r"Access denied for user 'airflow'|connection process_report cannot be read|ACCESS_REFUSED"
    ),
    "a tidying finds what it may not remove": (
        r"dag_id=foreign/attempt=1.log: Permission denied|Failed to start airflow-cwl-tidy.service"
    ),
    "an entry comes twice": r"Duplicate entry|INSERT INTO connection",
    "Airflow removes a DAG while its DAG processor notes that it has read it, and starts the latter again": (
        r"StaleDataError: UPDATE statement on table 'dag'|Original exception was: UPDATE statement on table 'dag'"
        r"|statement: DELETE FROM "  # the answer is 5xx; callers ask again
    ),
    "a run is removed while the scheduler looks at it, which is started again": (
        r"ObjectDeletedError: Instance '<DagRun at .*>' has been deleted"
    ),
    "what Airflow says before the reason": r"Exception when executing (DagProcessorJob|SchedulerJob|TriggerRunner)",
    "an image is pulled from a registry that is not there": r"images/create returned error: .*http://localhost:1/v2/",
    "containerd looks for the network of Kubernetes": r"failed to load cni during init",
}


def test_no_unit_complains(host):
    found = json.loads(host.check_output("python3 -c %s", FIND))
    unknown = [line for line in found if not any(re.search(known, line[1]) for known in KNOWN.values())]
    assert not unknown, "\n".join(f"{unit}: {text}" for unit, text in unknown)
