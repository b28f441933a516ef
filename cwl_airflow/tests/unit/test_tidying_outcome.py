"""What is noted of a tidying, and what cwl-airflow-check says of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cwl_airflow.commands import check
from cwl_airflow.tidying.outcome import TidyingBusy, check_tidying, noted_tidying


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return Airflow's home."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit code of cwl-airflow-check, and what it says."""
    code = check.main(["tidy"])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def test_a_host_that_was_not_tidied_up_yet_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys) == (0, "tidy: not tidied up yet\n")


def test_one_that_went_well_is_told_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with noted_tidying():
        code, text = told(capsys)
        assert code == 0
        assert text.startswith("tidy: at work since ")
    code, text = told(capsys)
    assert code == 0
    assert text.startswith(f"tidy: tidied up at {datetime.now(timezone.utc):%Y-%m-%d}")


def test_a_failure_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with noted_tidying() as failures:
        failures.append("log files: /a: Permission denied")
    code, text = told(capsys)
    assert code == 1
    assert "UTC failed: log files: /a: Permission denied (journalctl -u airflow-cwl-tidy says more)" in text
    with noted_tidying():
        pass
    assert told(capsys)[0] == 0


def test_one_that_was_killed_did_not_come_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), noted_tidying():
        raise KeyboardInterrupt
    code, text = told(capsys)
    assert code == 1
    assert "was ended before it was done" in text


def test_one_that_was_long_ago_is_missed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with noted_tidying():
        pass
    noted = json.loads((home / "tidying.json").read_text(encoding="utf-8"))
    noted["began"] = (datetime.now(timezone.utc) - timedelta(days=34)).isoformat()
    (home / "tidying.json").write_text(json.dumps(noted), encoding="utf-8")
    code, text = told(capsys)
    assert code == 1
    assert "see systemctl status airflow-cwl-tidy.timer" in text


def test_two_at_once_are_one_too_many() -> None:
    with noted_tidying(), pytest.raises(TidyingBusy), noted_tidying():
        pass
    assert check_tidying(1).startswith("tidied up at ")
