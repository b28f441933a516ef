"""Mails of failed runs and of the site, from Airflow's rows to a real mail server and a real receiver."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rows
import sqlalchemy as sa
from airflow import settings as airflow_settings
from airflow.utils.session import create_session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cwl_airflow.callers import Caller, acting_as
from cwl_airflow.commands import reports as command
from cwl_airflow.dags.notes import ERROR
from cwl_airflow.notices import service, site, watch
from cwl_airflow.notices.service import Notices
from cwl_airflow.notices.settings import CREDENTIAL, NoticeSettings, NoticesMisconfigured, read_settings
from cwl_airflow.reports import outbox
from cwl_airflow.reports.printing_server import PrintingServer
from cwl_airflow.reports.service import ReportService
from mail_server import PASSWORD, USER, Mailbox, mail_server
from test_reports_site import printed, quick, set_connection, wait_for, working  # noqa: F401

from cwl_airflow import schema

pytestmark = pytest.mark.usefixtures("clean_database", "site")
SITE_NAME, SENDER, OPERATOR = "mylab", "cwl@example.org", "ann@example.org"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "INTERVAL", 0)
    monkeypatch.setattr(watch, "INTERVAL", 0.02)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    """Return a mail server that asks for a login."""
    with mail_server(login=True) as made:
        yield made


Set = Callable[..., None]


@pytest.fixture
def set_notices(box: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Set:
    """Return a function that gives this process the credential."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    def give(report: bool = False, mail: bool = True, **more: Any) -> None:
        login = {"user": USER, "password": PASSWORD}
        to = {"to": [OPERATOR], "sender": SENDER, "server": "127.0.0.1", "port": box.port, "security": "none", **login}
        content = {"site": SITE_NAME, "report": report, "mail": to | more if mail else None}
        (tmp_path / CREDENTIAL).write_text(json.dumps(content), encoding="utf-8")

    return give


@pytest.fixture
def well(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Have a site that is well but for what the test puts here."""
    wrong: dict[str, str] = {}
    monkeypatch.setattr(site, "find_problems", lambda: dict(wrong))
    return wrong


def is_looking() -> bool:
    with create_session() as session:
        return outbox.MAIL_LOOKED in outbox.read_times(session)


def begin(box: Mailbox) -> None:
    """Wait for the mail with which mails begin, and take it out."""
    wait_for(lambda: box.mails and is_looking())
    assert str(box.mails.pop(0)["Subject"]) == "mylab: mails are set up"


def subjects(box: Mailbox) -> list[str]:
    return [str(mail["Subject"]) for mail in box.mails]


def fail(run_id: str, seconds: float = 3, **more: Any) -> None:
    """Add a run that failed."""
    rows.add_run(run_id, logical_date=rows.at(seconds), start_date=rows.at(0), **more)
    rows.add_task("say", "failed", 1, 2, run_id)
    rows.push("say", ERROR, f"say: 'sh -c …' exit status 3: no luck with {run_id}", run_id)
    rows.end_run("failed", seconds, run_id)


def text_of(mail: Any) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


@pytest.mark.usefixtures("well")
def test_a_run_that_fails_is_mailed(box: Mailbox, set_notices: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/")
    set_notices()
    with working(made := site.make_service()):
        begin(box)
        with acting_as(Caller("ann")):
            fail("rest:1+a", conf={"job": {}})
        wait_for(lambda: box.mails)
    assert not made.broken
    (mail,) = box.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == (OPERATOR, SENDER, "mylab: align failed")
    began, ended = (f"{rows.at(seconds):%Y-%m-%d %H:%M:%S} UTC" for seconds in (0, 3))
    assert text_of(mail).split("\n\n")[:3] == [
        f"DAG:     align\nRun:     rest:1+a\nStarted: {began} by ann\nFailed:  {ended}",
        "say: 'sh -c …' exit status 3: no luck with rest:1+a",
        "https://airflow.example.org/dags/align/runs/rest%3A1%2Ba",
    ]


@pytest.mark.usefixtures("well")
def test_only_runs_of_documents_that_fail_from_now_on_are_mailed(box: Mailbox, set_notices: Set) -> None:
    set_notices()
    schema.upgrade(airflow_settings.engine)
    fail("before", seconds=-3600)
    with working(site.make_service()):
        begin(box)
        rows.add_run("well")
        rows.add_task("say", "success", 1, 2, "well")
        rows.end_run("success", 3, "well")
        rows.add_run("other", logical_date=rows.at(1))
        rows.add_task("say", "failed", 1, 2, "other", operator="BashOperator")
        rows.end_run("failed", 3, "other")
        rows.add_run("marked", logical_date=rows.at(2))
        rows.add_task("say", "skipped", 1, 2, "marked")
        rows.end_run("failed", 4, "marked")
        wait_for(lambda: box.mails)
        fail("last", 5)
        wait_for(lambda: len(box.mails) > 1)
    assert [text_of(mail).split("\n")[1] for mail in box.mails] == ["Run:     marked", "Run:     last"]
    assert "The run was marked as failed." in text_of(box.mails[0])
    assert "http" not in text_of(box.mails[0])  # nobody said where the pages are


@pytest.mark.usefixtures("well")
def test_a_run_that_fails_again_is_mailed_again_and_nothing_is_mailed_twice(box: Mailbox, set_notices: Set) -> None:
    set_notices()
    with working(site.make_service()):
        begin(box)
        fail("first")
        wait_for(lambda: box.mails)
        rows.change_run("first", state="running", end_date=None, clear_number=1)
    with working(site.make_service()):
        rows.end_run("failed", 6, "first")
        wait_for(lambda: len(box.mails) > 1)
    fail("while-the-service-is-down", 7)
    with working(site.make_service()):
        wait_for(lambda: len(box.mails) > 2)
    assert len({mail["Message-ID"] for mail in box.mails}) == 3
    assert "while-the-service-is-down" in text_of(box.mails[2])


@pytest.mark.usefixtures("well")
def test_mails_wait_for_a_server_that_takes_none(
    box: Mailbox, set_notices: Set, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    set_notices(password="of yesterday")
    with working(made := site.make_service()):
        wait_for(is_looking)
        fail("first")
        fail("second", 4)
        wait_for(lambda: "cannot be used: 535 " in caplog.text)
    assert not made.broken
    assert box.mails == []
    assert "of yesterday" not in caplog.text
    set_notices()
    with working(site.make_service()):
        wait_for(lambda: len(box.mails) > 2)
    assert subjects(box) == ["mylab: mails are set up", *["mylab: align failed"] * 2]
    assert [text_of(mail).split("\n")[1] for mail in box.mails[1:]] == ["Run:     first", "Run:     second"]


@pytest.mark.usefixtures("well")
def test_what_nobody_is_to_be_mailed_any_more_is_forgotten(box: Mailbox, set_notices: Set) -> None:
    set_notices(password="wrong")
    with working(site.make_service()):
        wait_for(is_looking)
        fail("first")
        wait_for(lambda: count_mails() == 2)
    set_notices(mail=False)
    site.make_service()
    assert count_mails() == 0
    rows.remove_rows("first")
    set_notices()
    with working(site.make_service()):
        begin(box)
        fail("second", 4)
        wait_for(lambda: box.mails)
    assert "second" in text_of(box.mails[0])


def count_mails() -> int:
    with create_session() as session:
        query = sa.select(sa.func.count()).select_from(outbox.REPORTS).where(outbox.REPORTS.c.route == outbox.MAIL)
        return int(session.scalar(query))


def test_a_site_that_is_not_well_is_mailed_and_reported(
    box: Mailbox,
    set_notices: Set,
    well: dict[str, str],
    printed: Callable[[], list[dict[str, Any]]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Signed as reports are."""
    from airflow.models import Variable
    from cwl_airflow.reports.receiver import ALGORITHM_VARIABLE

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "report_private_key").write_bytes(pem)
    Variable.set(ALGORITHM_VARIABLE, "ES256")
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    set_notices(report=True)
    with PrintingServer(("127.0.0.1", 0), public.decode(), "ES256") as receiver:
        threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True).start()
        set_connection(receiver)
        with working(site.make_service()):
            begin(box)
            well["Broker"] = "no route"
            wait_for(lambda: subjects(box) == ["mylab: Broker is not well"] and is_reported() == 1)
        with working(site.make_service()):  # it knows what was told
            well["Disk"] = "full"
            wait_for(lambda: len(box.mails) == 2 and is_reported() == 2)
            well.clear()
            wait_for(lambda: len(box.mails) == 3 and is_reported() == 3)
        receiver.shutdown()
    assert subjects(box)[1:] == ["mylab: Broker, Disk are not well", "mylab: well again"]
    assert text_of(box.mails[0]).startswith("Broker: no route\n\n")
    problems = [{"name": "Broker", "text": "no route"}, {"name": "Disk", "text": "full"}]
    assert [(each["route"], each["payload"]) for each in printed()] == [
        ("site", {"site": SITE_NAME, "well": False, "problems": problems[:1]}),
        ("site", {"site": SITE_NAME, "well": False, "problems": problems}),
        ("site", {"site": SITE_NAME, "well": True, "problems": []}),
    ]


def is_reported() -> int:
    """Return how many reports of the site were delivered."""
    delivered = sa.select(sa.func.count(outbox.REPORTS.c.delivered_at)).where(outbox.REPORTS.c.route == service.SITE)
    with create_session() as session:
        return int(session.scalar(delivered))


def test_how_this_site_is(set_notices: Set, box: Mailbox) -> None:
    """It has no scheduler."""
    set_notices()
    with working(made := site.make_service()):
        begin(box)
        wait_for(lambda: box.mails)
    assert not made.broken
    assert "Scheduler: never seen" in text_of(box.mails[0])


def test_a_database_that_is_away_is_mailed_without_it(
    box: Mailbox, set_notices: Set, caplog: pytest.LogCaptureFixture
) -> None:
    set_notices()
    settings = read_settings()
    assert settings
    away = [True]
    wrong = {"Database": "no route"}

    def must_rest() -> bool:
        if away:
            raise sa.exc.OperationalError("GET_LOCK", {}, OSError("away"))
        return False

    schema.upgrade(airflow_settings.engine)
    notices = Notices(settings, create_session, must_rest, lambda: dict(wrong))
    made = ReportService(create_session, lambda _: None, lambda _: None, lambda: True)
    made.actions = [notices.work]
    with working(made):
        box.answer = "451 later"
        wait_for(lambda: "cannot be mailed: " in caplog.text)
        box.answer = "250 taken"
        wait_for(lambda: box.mails)
        away.clear()
        wrong.clear()
        wait_for(lambda: len(box.mails) > 2)
    assert not made.broken
    assert sorted(subjects(box)[1:]) == ["mylab: mails are set up", "mylab: well again"]
    assert subjects(box)[0] == "mylab: Database is not well"


def test_a_look_at_the_site_that_fails_keeps_nothing_from_being_mailed(
    box: Mailbox, set_notices: Set, caplog: pytest.LogCaptureFixture
) -> None:
    set_notices()
    settings = read_settings()
    assert settings
    schema.upgrade(airflow_settings.engine)
    notices = Notices(settings, create_session, lambda: False, lambda: {"a": ""} | {}["none"])
    notices.work()
    assert "How the site is cannot be found out" in caplog.text
    fail("first")
    notices.work()
    assert subjects(box) == ["mylab: mails are set up", "mylab: align failed"]


def test_whoevers_turn_it_is_not_looks_at_nothing() -> None:
    settings = NoticeSettings(SITE_NAME, True, None)
    Notices(settings, lambda: pytest.fail("asked"), lambda: True, lambda: pytest.fail("looked")).work()


def test_without_the_credential_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_settings() is None
    assert len(site.make_service().actions) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"site": "a", "report": true, "mail": {"hush": 1}}'])
def test_a_credential_that_cannot_be_used_is_told_without_what_is_in_it(
    content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / CREDENTIAL).write_text(content, encoding="utf-8")
    with pytest.raises(NoticesMisconfigured):
        read_settings()
    assert command.main([]) == 1
    said = capsys.readouterr().err
    assert "The credential notices of this service cannot be used" in said
    assert "hush" not in said
