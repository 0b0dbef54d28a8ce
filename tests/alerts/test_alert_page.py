"""Settings, Alerts: as an admin sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select

from app.accounts.tables import audit_log
from app.alerts.tables import alert_targets
from app.db.session import Database
from app.pages.routes import install
from app.settings import Settings
from tests.alerts.receiving import receiving_hooks, receiving_mail
from tests.fixtures.people import log_in_as
from tests.fixtures.program import SECRET_KEY
from tests.pages.conftest import ORIGIN
from tests.pages.rows import SITE

PAGE = "/settings/alerts"


def app_of(db: Database, **settings: Any) -> FastAPI:
    app = FastAPI()
    app.state.db = db
    app.state.settings = Settings(secret_key=SecretStr(SECRET_KEY), **settings)
    install(app)
    return app


@asynccontextmanager
async def an_admin(
    db: Database, *, private: bool, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app_of(db, alerts_to_private=private, **settings))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        (await log_in_as(db)).give(client)
        yield client


async def target_ids(db: Database) -> list[str]:
    async with db.read() as connection:
        return list((await connection.execute(select(alert_targets.c.id))).scalars())


async def test_a_hook_is_added_tested_and_removed(db: Database) -> None:
    async with an_admin(db, private=True) as admin:
        with receiving_hooks() as hooks:
            data = {"kind": "hook", "address": hooks.url, "of": SITE}
            answer = await admin.post(PAGE, data=data)
            assert answer.status_code == 200, answer.text
            secret = re.search(r"whsec_[\w+/=]+", answer.text)
            assert secret is not None
            hooks.secret = secret[0]
            (target_id,) = await target_ids(db)
            assert hooks.secret not in (await admin.get(PAGE)).text
            answer = await admin.post(f"{PAGE}/{target_id}/test")
            assert "taken by the other side" in answer.text
            assert hooks.got[0]["type"] == "alert.test"
            hooks.answer = 500
            answer = await admin.post(f"{PAGE}/{target_id}/test")
            assert answer.status_code == 422
            assert "It was answered 500." in answer.text
        assert (await admin.post(f"{PAGE}/{target_id}/remove")).status_code == 303
        assert await target_ids(db) == []
        assert (await admin.post(f"{PAGE}/{target_id}/test")).status_code == 404
    async with db.read() as connection:
        rows = (await connection.execute(select(audit_log.c.action, audit_log.c.website_id))).all()
    assert {(row.action, row.website_id) for row in rows} >= {
        ("alert_target.added", SITE),
        ("alert_target.tested", SITE),
        ("alert_target.removed", SITE),
    }


async def test_case_097_what_must_not_be_called_is_refused(db: Database) -> None:
    async with an_admin(db, private=False) as admin:
        with receiving_hooks() as hooks:
            for address in (hooks.url, "https://169.254.169.254/", "gopher://x/", "", "<script>"):
                answer = await admin.post(PAGE, data={"kind": "hook", "address": address})
                assert answer.status_code == 422, address
                assert "<script>" not in answer.text
            assert hooks.ids == []
        assert await target_ids(db) == []


async def test_wrong_words_are_refused(db: Database) -> None:
    async with an_admin(db, private=True) as admin:
        for data in (
            {"kind": "email", "address": "nobody"},
            {"kind": "email", "address": "a@b.example\r\nBcc: c@d.example"},
            {"kind": "pigeon", "address": "a@b.example"},
            {"kind": "email", "address": "a@b.example", "of": "never-there"},
            {},
        ):
            assert (await admin.post(PAGE, data=data)).status_code == 422, data
        assert await target_ids(db) == []


# The server in the test wants a password without TLS, on loopback.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_the_button_sends_a_mail_and_tells_why_none_arrived(db: Database) -> None:
    async with an_admin(db, private=False) as admin:
        await admin.post(PAGE, data={"kind": "email", "address": "team@acme.example", "of": ""})
        (target_id,) = await target_ids(db)
        path = f"{PAGE}/{target_id}/test"
        answer = await admin.post(path)
        assert answer.status_code == 422
        assert "The test did not arrive. No mail server is set" in answer.text
    with receiving_mail() as mails:
        async with an_admin(db, private=False, smtp_url=SecretStr(mails.url)) as admin:
            answer = await admin.post(path)
            assert "taken by the other side" in answer.text
            assert (mails.to, len(mails.got)) == (["team@acme.example"], 1)
            assert "This is a test" in mails.got[0]["Subject"]
            mails.refuse = True
            answer = await admin.post(path)
            assert answer.status_code == 422
            assert "The mail server refused the address (550)." in answer.text
            assert len(mails.got) == 1
