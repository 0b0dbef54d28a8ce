"""Mail over TLS, from the start or by STARTTLS: to a server that is trusted, and to no other (SPEC V9)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.accounts.actors import COMMAND
from app.alerts.deliver import send_due, send_test
from app.alerts.tables import alert_messages
from app.clock import now_ms
from app.db.session import Database
from tests.alerts.certificates import self_signed
from tests.alerts.receiving import Mails, Tls, receiving_mail
from tests.alerts.test_alerts import FAILED, MINUTE, NOW, a_mail_target, at, hurry, settings_of

# Of the server in the test: it asks for a password where STARTTLS did not happen, since TLS did.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

BOTH = pytest.mark.parametrize("tls", ["smtps", "starttls"])


def by(mails: Mails) -> SecretStr:
    return SecretStr(mails.url)


async def message(db: Database) -> tuple[str, str | None, int]:
    m = alert_messages.c
    async with db.read() as connection:
        row = (await connection.execute(select(m.state, m.error, m.attempts))).one()
    return row.state, row.error, row.attempts


@BOTH
async def test_mail_goes_over_tls_to_a_trusted_server(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: Tls
) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    with receiving_mail(tls, certificate.server) as mails:
        await a_mail_target(db)
        await at(db, FAILED, NOW)
        await at(db, FAILED, NOW + MINUTE)
        assert await send_due(db, settings_of(smtp_url=by(mails))) == 1
        (cipher,) = mails.ciphers
        assert cipher is not None, "it came in the clear"
        assert (mails.to, mails.tried) == (["team@acme.example"], [b"p@ss"])
        assert "Acme Chat" in mails.got[0]["Subject"]
    assert await message(db) == ("done", None, 1)


@BOTH
async def test_an_untrusted_certificate_gets_neither_mail_nor_password_until_it_is_trusted(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: Tls
) -> None:
    certificate = self_signed(tmp_path)
    with receiving_mail(tls, certificate.server) as mails:
        await a_mail_target(db)
        await at(db, FAILED, NOW)
        await at(db, FAILED, NOW + MINUTE)
        settings = settings_of(smtp_url=by(mails))
        assert await send_due(db, settings) == 1
        told = "The mail server's certificate is not trusted: self-signed certificate."
        assert await message(db) == ("waiting", told, 1)
        assert (mails.got, mails.tried) == ([], [])
        async with db.read() as connection:
            due_ms = await connection.scalar(select(alert_messages.c.due_ms))
        assert due_ms is not None
        assert due_ms > now_ms()
        assert await send_due(db, settings) == 0, "not before its time"

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
        await hurry(db)
        assert await send_due(db, settings) == 1
        assert len(mails.got) == 1
    state, error, _ = await message(db)
    assert (state, error) == ("done", None)


@BOTH
async def test_a_certificate_of_another_name_is_not_trusted(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: Tls
) -> None:
    certificate = self_signed(tmp_path, "mail.acme.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    with receiving_mail(tls, certificate.server) as mails:
        target_id = await a_mail_target(db)
        told = await send_test(db, settings_of(smtp_url=by(mails)), COMMAND, target_id)
        assert told is not None
        assert told.startswith("The mail server's certificate is not trusted: ")
        assert "mismatch" in told
        assert (told.count(". "), told[-1]) == (0, ".")
        assert (mails.got, mails.tried) == ([], [])


async def test_a_password_is_not_sent_in_the_clear_beyond_this_machine(db: Database) -> None:
    # Of loopback's addresses one that the program does not take for this machine.
    with receiving_mail(host="127.0.0.2") as mails:
        target_id = await a_mail_target(db)
        told = await send_test(db, settings_of(smtp_url=by(mails)), COMMAND, target_id)
        assert told == "The mail server offers no TLS, so the password is not sent to it."
        assert (mails.got, mails.tried) == ([], [])
