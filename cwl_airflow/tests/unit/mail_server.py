"""A mail server for tests, with a login and TLS if they ask for it, and what came to it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

#: The login that it takes.
USER, PASSWORD = "cwl", "pass word%"


@dataclass
class Mailbox:
    """What came, and how the server answers."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    #: To whom each went.
    recipients: list[list[str]] = field(default_factory=list)
    #: What it answers to a recipient of that address, and to the mail itself.
    refuses: dict[str, str] = field(default_factory=dict)
    answer: str = "250 taken"
    hangs_up: bool = False

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, options: Any) -> str:
        """Take a recipient."""
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Take a mail."""
        if self.answer.startswith("2"):
            self.mails.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default))
            self.recipients.append(envelope.rcpt_tos)
        return self.answer

    async def handle_QUIT(self, server: Any, _session: Any, _envelope: Any) -> str:
        """Say good-bye, or nothing."""
        if self.hangs_up:
            server.transport.abort()
        return "221 bye"


def check_login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    """Take one login."""
    fits = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=fits, handled=False)


@contextmanager
def mail_server(security: str = "none", login: bool = False, certificate: Path | None = None) -> Iterator[Mailbox]:
    """Return the mailbox of a server that runs meanwhile.

    :param security: as `MailSettings` has it.
    :param certificate: with its key, see `make_certificate`.
    """
    box = Mailbox()
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()
    # It does not know of TLS that is there from the start.
    starttls = security == "starttls"
    more = {"tls_context": context, "require_starttls": True} if starttls else {}

    def speak() -> SMTP:
        return SMTP(box, loop=loop, authenticator=check_login, auth_required=login, auth_require_tls=starttls, **more)

    server = loop.run_until_complete(
        loop.create_server(speak, "127.0.0.1", 0, ssl=context if security == "tls" else None)
    )
    box.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def make_certificate(folder: Path) -> Path:
    """Return a file with a certificate of 127.0.0.1, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "mail.pem"
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file
