"""The package in an Airflow that nobody of this project set up.

It needs PyPI, and takes most of a minute: `make test` runs it, `make unit` does not.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from installed import DEADLINE, Installation

pytestmark = pytest.mark.installation


def test_two_step_runs_in_an_airflow_of_anybody(site: Installation) -> None:
    # It compares the outputs with the expected ones.
    done = site.run("cwl-airflow-verify", "two-step", "--url", site.url, "--timeout", str(DEADLINE))
    assert done.returncode == 0, f"{done.stdout}\n{site.logs()}"
    (report,) = (site.home / "cwl/outputs/two-step").glob("verify-*/workflow_report.json")
    outputs = json.loads(report.read_text(encoding="utf-8"))
    assert Path(outputs["numbered"]["path"]).read_text(encoding="utf-8").splitlines()[0].split() == ["1", "apple"]
