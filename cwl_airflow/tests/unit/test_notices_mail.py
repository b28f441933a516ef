"""Mails through a real server: with and without TLS and login, refused, and so many in an hour."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cwl_airflow.notices import mail as mailing
from cwl_airflow.notices.mail import MOST_IN_AN_HOUR, MailServer, MailSettings, MailTable
from cwl_airflow.notices.words import site_mail
from cwl_airflow.reports import outbox
from cwl_airflow.reports.events import ReportedRun, ReportEvent
from cwl_airflow.reports.outbox import MAIL, Report
from cwl_airflow.reports.receiver import ReceiverUnreachable, ReportRefused
from mail_server import PASSWORD, USER, Mailbox, mail_server, make_certificate

SENDER, OPERATORS = "cwl@example.org", ("ann@example.org", "bob@example.org")
PAYLOAD = {"subject": "mylab: align failed", "text": "Grüße\n.\nTo: nobody", "line": "align"}


def settings(box: Mailbox, **more: Any) -> MailSettings:
    return MailSettings(**{"to": OPERATORS, "sender": SENDER, "server": "127.0.0.1", "port": box.port, **more})


def mail(**payload: str) -> Report:
    return Report(1, "k" * 64, 7, MAIL, PAYLOAD | payload)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the certificate, which this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


def test_a_mail_arrives_as_it_was_written() -> None:
    with mail_server() as box:
        MailServer(settings(box, security="none")).post(mail())
    (arrived,) = box.mails
    assert box.recipients == [list(OPERATORS)]
    headers = {name: arrived[name] for name in ("From", "To", "Subject", "Message-ID", "Auto-Submitted")}
    assert headers == {
        "From": SENDER,
        "To": ", ".join(OPERATORS),
        "Subject": PAYLOAD["subject"],
        "Message-ID": f"<{'k' * 64}@example.org>",
        "Auto-Submitted": "auto-generated",
    }
    assert abs(arrived["Date"].datetime - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert arrived.get_content().replace("\r\n", "\n").strip() == PAYLOAD["text"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("login", [True, False])
def test_with_tls_and_a_login(trusted: Path, security: str, login: bool) -> None:
    known = {"user": USER, "password": PASSWORD} if login else {}
    with mail_server(security, login, trusted) as box:
        MailServer(settings(box, security=security, **known)).post(mail())
    assert len(box.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_gets_nothing(certificate: Path, security: str) -> None:
    with mail_server(security, True, certificate) as box:
        server = MailServer(settings(box, security=security, user=USER, password=PASSWORD))
        with pytest.raises(ReceiverUnreachable, match=r"cannot be used: .*CERTIFICATE_VERIFY_FAILED"):
            server.post(mail())
    assert box.mails == []


def test_a_server_without_encryption_gets_nothing_where_there_should_be_one() -> None:
    with mail_server() as box, pytest.raises(ReceiverUnreachable, match="STARTTLS"):
        MailServer(settings(box, security="starttls", user=USER, password=PASSWORD)).post(mail())
    assert box.mails == []


def test_a_wrong_password_is_told_without_it(trusted: Path) -> None:
    with mail_server("starttls", True, trusted) as box:
        server = MailServer(settings(box, security="starttls", user=USER, password="hush"))
        with pytest.raises(ReceiverUnreachable, match=f"127.0.0.1:{box.port} cannot be used: 535 ") as raised:
            server.post(mail())
    assert "hush" not in str(raised.value) + repr(server._settings)
    assert box.mails == []


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ReceiverUnreachable, match=rf"The mail server 127.0.0.1:{port} cannot be used: .*refused"):
        MailServer(settings(Mailbox(port), security="none")).post(mail())


def test_a_mail_that_is_refused_is_not_the_servers_absence() -> None:
    with mail_server() as box:
        box.answer = "554 looks like spam"
        with pytest.raises(ReportRefused, match="answered 554: looks like spam"):
            MailServer(settings(box, security="none")).post(mail())


def test_who_is_not_known_keeps_nobody_else_from_getting_it(caplog: pytest.LogCaptureFixture) -> None:
    with mail_server() as box:
        box.refuses = {OPERATORS[0]: "550 who is that"}
        server = MailServer(settings(box, security="none"))
        server.post(mail())
        assert box.recipients == [[OPERATORS[1]]]
        said = [record.getMessage() for record in caplog.records if record.name == mailing.__name__]
        assert said == [f"{server.name} takes nothing for ann@example.org: 550 who is that"]
        box.refuses[OPERATORS[1]] = "450 later"
        with pytest.raises(ReceiverUnreachable, match=r"450 later \(bob@example.org\)"):
            server.post(mail())
    assert len(box.mails) == 1


def test_a_server_that_has_the_mail_may_go() -> None:
    with mail_server() as box:
        box.hangs_up = True
        MailServer(settings(box, security="none")).post(mail())
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("subject", "seen"),
    [
        ("a\r\nBcc: mallory@example.org", "a Bcc: mallory@example.org"),
        ("näh ☃", "näh ☃"),
        ("x" * 300, "x" * 199 + "…"),
        ("a\u2028\x00b", "a b"),
    ],
)
def test_no_subject_or_text_breaks_a_mail(subject: str, seen: str) -> None:
    text = "y" * 5000 + "\n\n" + "ü" * 2000
    with mail_server() as box:
        MailServer(settings(box, security="none")).post(mail(subject=subject, text=text))
    (arrived,) = box.mails
    assert arrived["Subject"] == seen
    assert arrived["Bcc"] is None
    assert arrived.get_content().replace("\r\n", "\n").strip() == text


@pytest.fixture
def sessions(tmp_path: Path) -> outbox.Sessions:
    """Return what makes sessions of a database with our tables alone."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/outbox.db")
    outbox.metadata.create_all(engine)

    @contextmanager
    def make() -> Iterator[Any]:
        with sa.orm.Session(engine) as session, session.begin():
            yield session

    return make


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Return a function that lets time pass for the table of the mails."""
    now = [datetime.now(timezone.utc)]

    def tick() -> datetime:
        now[0] += timedelta(seconds=1)  # no two mails are sent at once
        return now[0]

    def pass_by(time: timedelta) -> None:
        now[0] += time

    monkeypatch.setattr(mailing, "_now", tick)
    return pass_by


def add_mails(sessions: outbox.Sessions, *numbers: int) -> None:
    with sessions() as session:
        for number in numbers:
            run = ReportedRun(number, "align", f"run-{number}", "", "failed", 0)
            payload = PAYLOAD | {"line": f"align, run-{number}"}
            event = ReportEvent(str(number), MAIL, datetime.now(timezone.utc), payload)
            outbox.write_events(session, run, [event], datetime(1970, 1, 1))


def sent(table: MailTable) -> list[str]:
    """Send what may be sent, and return the subjects."""
    subjects = []
    while mails := table.find_pending(()):
        table.mark_delivered([each.id for each in mails])
        subjects += [each.payload["subject"] for each in mails]
    return subjects


def test_so_many_are_sent_in_an_hour_and_the_others_together(
    sessions: outbox.Sessions, clock: Callable[[timedelta], None]
) -> None:
    table = MailTable(sessions, "mylab")
    add_mails(sessions, *range(1, 38))
    single = [PAYLOAD["subject"]] * (MOST_IN_AN_HOUR - 1)
    assert sent(table) == [*single, "mylab: 28 more"]
    add_mails(sessions, 38, 39)
    assert sent(table) == []
    clock(timedelta(minutes=58))
    assert sent(table) == []
    clock(timedelta(minutes=2))
    add_mails(sessions, *range(40, 52))
    assert sent(table) == [*single, "mylab: 5 more"]


def test_one_that_is_left_is_sent_as_it_is(sessions: outbox.Sessions, clock: Callable[[timedelta], None]) -> None:
    table = MailTable(sessions, "mylab")
    add_mails(sessions, *range(1, MOST_IN_AN_HOUR + 1))
    assert sent(table) == [PAYLOAD["subject"]] * MOST_IN_AN_HOUR


def test_what_is_sent_together_is_named(sessions: outbox.Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailing, "MOST_IN_AN_HOUR", 1)
    table = MailTable(sessions, "mylab")
    add_mails(sessions, *range(1, 121))
    (together,) = table.find_pending(())
    assert "align, run-1\n\nalign, run-2\n\n" in together.payload["text"]
    assert together.payload["text"].endswith("align, run-100\n\nand 20 more")
    (without,) = table.find_pending({1})
    assert without.payload["subject"] == "mylab: 119 more"
    table.mark_delivered([without.id])
    with sessions() as session:
        assert [each.dag_run_id for each in outbox.find_pending(session, (), mails=True)] == [1]


def test_mails_and_reports_go_different_ways(sessions: outbox.Sessions) -> None:
    add_mails(sessions, 1)
    with sessions() as session:
        run = ReportedRun(2, "align", "run-2", "", "failed", 0)
        now = datetime.now(timezone.utc)
        outbox.write_events(session, run, [ReportEvent("x", "status", now, {})], datetime(1970, 1, 1))
        assert [each.key for each in outbox.find_pending(session, ())] == ["x"]
        assert [each.key for each in outbox.find_pending(session, (), mails=True)] == ["1"]
        for name in (outbox.SINCE, outbox.MAIL_SINCE):
            outbox.write_time(session, name, datetime(2026, 1, 2))
        outbox.forget_receiver(session)
        assert list(outbox.read_times(session)) == [outbox.MAIL_SINCE]
        outbox.prune_reports(session, now + timedelta(days=1), undelivered=True)
        assert outbox.find_pending(session, ()) == []
        assert len(outbox.find_pending(session, (), mails=True)) == 1
        outbox.forget_mails(session)
        assert outbox.read_times(session) == {}
        assert outbox.find_pending(session, (), mails=True) == []


def test_the_words_of_a_site() -> None:
    one, two = site_mail("mylab", {"Broker": "no route"}), site_mail("mylab", {"Broker": "no route", "Disk": "full"})
    assert one["subject"] == "mylab: Broker is not well"
    assert two["subject"] == "mylab: Broker, Disk are not well"
    assert two["text"].startswith("Broker: no route\n\nDisk: full\n\nsudo cwl-airflow-status")
    assert site_mail("mylab", {})["subject"] == "mylab: well again"
