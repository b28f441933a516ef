"""What Airflow's pages show of CWL, on the host: outputs, what steps took, the picture, the note of a failed run."""

from __future__ import annotations

import json

from api import ADMIN, SERVER, ask, curl
from dags import IMAGE, tool, wait_for

#: `tail` keeps 60 MB for a second, of which the kernel tells the container's peak.
SCRIPT = "mkdir tree; head -c 60000000 /dev/zero | tail -c 60000000 | (sleep 1; wc -c) > tree/size.txt"


def page(host, path):
    """Return what the pages of CWL answer to the administrator."""
    return curl(host, f"{SERVER}/cwl/{path}", user=ADMIN)


def test_a_run_has_a_page(host, dag):
    outputs = {"tree": {"type": "Directory", "outputBinding": {"glob": "tree"}}}
    dag.write(tool(SCRIPT, requirements=IMAGE, outputs=outputs))
    dag.trigger({})
    assert dag.ended() == "success"
    status, answer = page(host, f"runs/{dag.dag_id}/run")
    assert status == 200, answer
    found = json.loads(answer)
    (step,) = found["tasks"]
    assert (step["state"], step["exit_codes"], step["jobs"], step["queue"]) == ("success", [0], 1, "default")
    assert 60e6 < step["memory"] < 600e6
    assert step["seconds"] > 1
    ((image, digest),) = step["images"].items()
    assert image == "docker.io/library/debian:trixie-slim"
    assert "@sha256:" in digest
    assert host.run(f"docker image inspect {digest}").rc == 0
    assert found["outputs"][0]["files"][0]["path"] == "tree"
    assert page(host, f"runs/{dag.dag_id}/run/outputs/tree/size.txt?as=view") == (200, "60000000\n")
    assert page(host, f"runs/{dag.dag_id}/run/outputs/tree?as=list")[0] == 200


def test_a_dag_has_a_picture(host):
    status, answer = page(host, "dags/two-step/picture.svg")
    assert status == 200, answer
    assert "</svg>" in answer


def test_a_failed_run_says_why_until_it_goes_on(host, dag):
    dag.write(tool("[ -e /tmp/never ] || { echo no such sample >&2; exit 3; }", requirements=IMAGE))
    dag.trigger({})
    assert dag.ended() == "failed"
    run = f"{dag.url}/dagRuns/run"
    note = ask(host, "GET", run)["note"]
    assert note.startswith("Failed: `")
    assert note.endswith("exit status 3: no such sample`")
    dag.clear()
    wait_for("end of the note", lambda: not ask(host, "GET", run)["note"], 60)
    assert dag.ended() == "failed"
    assert ask(host, "GET", run)["note"] == note
