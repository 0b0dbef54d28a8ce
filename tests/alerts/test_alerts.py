"""Alerts: told once, again after a while, and when it is over; to people and to programs (SPEC V9)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, update

from app import clock
from app.accounts.actors import COMMAND
from app.accounts.tables import audit_log
from app.alerts import hook
from app.alerts.deliver import WAITS, send_due, send_test
from app.alerts.tables import alert_messages, alert_targets, alerts
from app.alerts.targets import add_email, add_hook, remove_target
from app.alerts.watch import Conditions, conditions, look, note
from app.db.session import Database
from app.doctor.findings import CAUSES, Finding
from app.errors import Refused
from app.settings import Settings
from app.vault.tables import sealed_secrets
from app.webhooks.tables import inbox_events
from tests.alerts.receiving import Hooks, receiving_hooks, receiving_mail
from tests.fixtures.program import SECRET_KEY
from tests.hooking import hook as a_hook
from tests.hooking import row_of
from tests.pages.rows import OTHER_SITE, SITE

# The server in the test wants a password without TLS, on loopback.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
NOW = datetime(2026, 11, 25, 12, tzinfo=clock.EPOCH.tzinfo)
MINUTE = timedelta(minutes=1)
FAILED: Conditions = {("run_failed", SITE): "full of Acme Chat: Crisp does not answer."}


def settings_of(**given: Any) -> Settings:
    return Settings(**{"secret_key": SecretStr(SECRET_KEY), "alerts_to_private": True, **given})


async def at(db: Database, found: Conditions, moment: datetime) -> None:
    await db.transact(lambda connection: note(connection, settings_of(), found, moment))


async def every(db: Database, table: Any) -> list[Any]:
    async with db.read() as connection:
        return list((await connection.execute(select(table).order_by(table.c.id))).all())


async def said(db: Database) -> list[str]:
    async with db.read() as connection:
        query = select(alert_messages.c.payload).order_by(alert_messages.c.created_at)
        return [payload["type"] for payload in (await connection.execute(query)).scalars()]


async def a_mail_target(db: Database, website_id: str | None = None) -> str:
    return await db.transact(
        lambda connection: add_email(connection, COMMAND, "team@acme.example", website_id)
    )


async def a_hook_target(db: Database, hooks: Hooks) -> str:
    target_id, hooks.secret = await db.transact(
        lambda connection: add_hook(connection, COMMAND, settings_of(), hooks.url, None)
    )
    return target_id


async def hurry(db: Database) -> None:
    async with db.write() as connection:
        await connection.execute(update(alert_messages).values(due_ms=0))


async def test_told_once_again_after_a_day_and_when_it_is_over(db: Database) -> None:
    await a_mail_target(db)
    await at(db, FAILED, NOW)
    assert await said(db) == []  # once may be a restart
    for minute in range(1, 60):
        await at(db, FAILED, NOW + minute * MINUTE)
    assert await said(db) == ["alert.opened"]
    await at(db, FAILED, NOW + timedelta(hours=24, minutes=1))
    await at(db, FAILED, NOW + timedelta(hours=24, minutes=2))
    assert await said(db) == ["alert.opened", "alert.reminded"]
    over = NOW + timedelta(hours=24, minutes=2)
    await at(db, {}, over + MINUTE)
    await at(db, {}, over + 5 * MINUTE)
    await at(db, {}, over + 6 * MINUTE)
    assert await said(db) == ["alert.opened", "alert.reminded", "alert.resolved"]


async def test_no_storm_from_what_comes_and_goes(db: Database) -> None:
    await a_mail_target(db)
    for minute in range(120):
        await at(db, FAILED if minute % 4 < 2 else {}, NOW + minute * MINUTE)
    assert await said(db) == ["alert.opened"]
    # Back within a day of its end: an hour of quiet, not five minutes.
    await at(db, {}, NOW + 130 * MINUTE)
    for minute in range(140, 200):
        await at(db, FAILED if minute % 20 < 2 else {}, NOW + minute * MINUTE)
    assert await said(db) == ["alert.opened", "alert.resolved", "alert.opened"]


async def test_what_was_seen_once_is_forgotten(db: Database) -> None:
    await a_mail_target(db)
    await at(db, FAILED, NOW)
    await at(db, {}, NOW + MINUTE)
    assert await every(db, alerts) == []
    assert await said(db) == []


async def test_a_target_of_one_website_hears_of_that_one_only(db: Database) -> None:
    await a_mail_target(db, OTHER_SITE)
    found: Conditions = {**FAILED, ("worker_not_running", None): "No process."}
    await at(db, found, NOW)
    await at(db, found, NOW + MINUTE)
    assert await said(db) == []
    found = {("run_failed", OTHER_SITE): "full"}
    await at(db, found, NOW + MINUTE)
    await at(db, found, NOW + 2 * MINUTE)
    assert await said(db) == ["alert.opened"]


async def test_two_processes_that_look_at_once_open_one(db: Database) -> None:
    await a_mail_target(db)
    for minute in range(2):
        moment = NOW + minute * MINUTE
        await asyncio.gather(*(at(db, FAILED, moment) for _ in range(4)))
    assert len(await every(db, alerts)) == 1
    assert await said(db) == ["alert.opened"]


def test_what_was_meant_is_no_alert() -> None:
    found = [Finding("paused", "e", SITE), Finding("not_https", "e"), Finding("disk_low", "a"),
             Finding("disk_low", "b")]  # fmt: skip
    assert conditions(found) == {("disk_low", None): "a b"}


async def test_signed_hook_arrives_and_is_verified_by_the_library(db: Database) -> None:
    with receiving_hooks() as hooks:
        await a_hook_target(db, hooks)
        await at(db, FAILED, NOW)
        await at(db, FAILED, NOW + MINUTE)
        assert await send_due(db, settings_of()) == 1
        (got,) = hooks.got
    assert got["type"] == "alert.opened"
    assert got["timestamp"].endswith("Z")
    assert got["data"]["cause"] == "run_failed"
    assert got["data"]["website_id"] == SITE
    assert got["data"]["website_name"] == "Acme Chat"
    assert got["data"]["sentence"] == CAUSES["run_failed"].sentence
    assert got["data"]["url"] == f"http://127.0.0.1:8000/settings/connection?website={SITE}"
    assert hooks.agents == ["crispsync"]
    (message,) = await every(db, alert_messages)
    assert (message.state, message.error) == ("done", None)


async def test_mail_arrives(db: Database) -> None:
    with receiving_mail() as mails:
        await a_mail_target(db)
        await at(db, FAILED, NOW)
        await at(db, FAILED, NOW + MINUTE)
        settings = settings_of(smtp_url=SecretStr(mails.url), mail_from="sync@acme.example")
        assert await send_due(db, settings) == 1
        (mail,) = mails.got
    assert mails.to == ["team@acme.example"]
    assert mail["Subject"] == f"[crispsync] Acme Chat: {CAUSES['run_failed'].sentence}"
    assert mail["From"] == "sync@acme.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    assert "Crisp does not answer." in text
    assert CAUSES["run_failed"].remedy in " ".join(text.split())


@pytest.mark.parametrize("status", [302, 400, 500, 503])
async def test_a_hook_that_is_not_taken_is_tried_again_later(db: Database, status: int) -> None:
    with receiving_hooks() as hooks:
        await a_hook_target(db, hooks)
        await at(db, FAILED, NOW)
        await at(db, FAILED, NOW + MINUTE)
        hooks.answer = status
        assert await send_due(db, settings_of()) == 1
        (message,) = await every(db, alert_messages)
        assert (message.state, message.attempts) == ("waiting", 1)
        assert str(status) in message.error
        assert message.due_ms > clock.now_ms() + (WAITS[0] - 5) * 1000
        assert await send_due(db, settings_of()) == 0
        hooks.answer = 200
        await hurry(db)
        assert await send_due(db, settings_of()) == 1
        # The same id both times, so that a receiver knows it again.
        assert len(set(hooks.ids)) == 1
        assert len(hooks.ids) == 2
    (message,) = await every(db, alert_messages)
    assert (message.state, message.error) == ("done", None)


async def test_given_up_in_the_end(db: Database) -> None:
    with receiving_hooks() as hooks:
        await a_hook_target(db, hooks)
        await at(db, FAILED, NOW)
        await at(db, FAILED, NOW + MINUTE)
        hooks.answer = 500
        for _ in range(len(WAITS) + 5):
            await send_due(db, settings_of())
            await hurry(db)
    (message,) = await every(db, alert_messages)
    assert (message.state, message.attempts) == ("failed", len(WAITS) + 1)


async def test_a_receiver_that_is_gone_gets_nothing_any_more(db: Database) -> None:
    with receiving_hooks() as hooks:
        await a_hook_target(db, hooks)
        hooks.answer = 410
        for minute in range(3):
            await at(db, FAILED, NOW + minute * MINUTE)
            await send_due(db, settings_of())
        (target,) = await every(db, alert_targets)
        assert "410" in target.disabled
        await at(db, FAILED, NOW + timedelta(days=2))
        assert await send_due(db, settings_of()) == 0


async def test_what_a_killed_process_was_sending_is_sent_again(db: Database) -> None:
    with receiving_hooks() as hooks:
        await a_hook_target(db, hooks)
        await at(db, FAILED, NOW)
        await at(db, FAILED, NOW + MINUTE)
        # As a process left it that was killed a minute ago.
        async with db.write() as connection:
            await connection.execute(update(alert_messages).values(attempts=1, due_ms=0))
        assert await send_due(db, settings_of()) == 1
        assert len(hooks.got) == 1


async def test_many_senders_send_each_once(db: Database) -> None:
    with receiving_hooks() as hooks:
        await a_hook_target(db, hooks)
        found: dict[tuple[str, str | None], str] = dict.fromkeys(
            ((cause, SITE) for cause in sorted(CAUSES)[:12]), "so it is"
        )
        await at(db, found, NOW)
        await at(db, found, NOW + MINUTE)
        tried = await asyncio.gather(*(send_due(db, settings_of()) for _ in range(4)))
        assert sum(tried) == 12
        assert len(set(hooks.ids)) == len(hooks.ids) == 12


async def test_mail_server_faults_are_words(db: Database) -> None:
    target_id = await a_mail_target(db)
    assert "SMTP_URL" in str(await send_test(db, settings_of(), COMMAND, target_id))
    nobody = settings_of(smtp_url=SecretStr("smtp://127.0.0.1:9"))
    assert "could not be used" in str(await send_test(db, nobody, COMMAND, target_id))
    with receiving_mail() as mails:
        mails.refuse = True
        settings = settings_of(smtp_url=SecretStr(mails.url))
        assert "550" in str(await send_test(db, settings, COMMAND, target_id))
        wrong = settings_of(smtp_url=SecretStr(mails.url.replace("p%40ss", "wrong")))
        assert "535" in str(await send_test(db, wrong, COMMAND, target_id))
        mails.refuse = False
        assert await send_test(db, settings, COMMAND, target_id) is None
    # A test is over with its answer.
    assert {row.state for row in await every(db, alert_messages)} == {"done", "failed"}


async def test_secrets_are_sealed_and_go_with_their_target(db: Database) -> None:
    with receiving_hooks() as hooks:
        target_id = await a_hook_target(db, hooks)
        rows = await every(db, alert_targets)
        async with db.read() as connection:
            sealed = (await connection.execute(select(sealed_secrets))).all()
        assert len(sealed) == 2
        assert hooks.secret not in f"{rows}{sealed}"
        other = settings_of(secret_key=SecretStr("another-0123456789-abcdefghijklmnopqrst"))
        assert "SECRET_KEY" in str(await send_test(db, other, COMMAND, target_id))
        await db.transact(lambda connection: remove_target(connection, COMMAND, target_id))
    async with db.read() as connection:
        assert (await connection.execute(select(sealed_secrets))).all() == []
    assert await every(db, alert_messages) == []
    actions = [row.action for row in await every(db, audit_log)]
    assert sorted(actions) == [
        "alert_target.added", "alert_target.removed", "alert_target.tested"
    ]  # fmt: skip


# FAILURES case 97
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "https://127.0.0.1/x",
        "https://localhost:8443/",
        "https://10.0.0.8/",
        "https://192.168.1.1/",
        "https://172.16.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[2002:7f00:1::]/",
        "https://224.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
    ],
)
async def test_case_097_private_addresses_are_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"private network|begins with https|no machine"):
        await hook.check(url, private=False)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "http://93.184.216.34/",
        "https://user:pass@127.0.0.1/",
        "https://127.0.0.1/#part",
        "https://",
        "nonsense",
        "https://[::1",
        "https://127.0.0.1:99999/",
        "https://127.0.0.1/a b",
        "https://127.0.0.1/\r\nHost: other",
        "https://a" + "b" * 3000,
        "https://never-there.invalid/",
    ],
)
async def test_case_097_what_is_no_address_is_refused_even_at_home(url: str) -> None:
    with pytest.raises(Refused) as refused:
        await hook.check(url, private=True)
    assert refused.value.message.endswith(".")


async def test_case_097_an_address_that_became_private_is_not_called(db: Database) -> None:
    with receiving_hooks() as hooks:
        target_id = await a_hook_target(db, hooks)
        told = await send_test(db, settings_of(alerts_to_private=False), COMMAND, target_id)
        assert told is not None
        assert "https" in told
        assert hooks.ids == []


async def test_dead_letters_are_found(db: Database) -> None:
    await a_mail_target(db)
    body = a_hook("message:send", website_id=SITE)
    async with db.write() as connection:
        await connection.execute(insert(inbox_events).values(**row_of(body, state="dead")))
    await look(db, settings_of())
    assert ("dead_letters", SITE) in {
        (row.cause, row.website_id) for row in await every(db, alerts)
    }


async def test_a_website_that_is_erased_takes_its_alerts_along(db: Database) -> None:
    from app.websites.connect import forget_website

    await a_mail_target(db)
    await a_mail_target(db, SITE)
    found: Conditions = {**FAILED, ("run_failed", OTHER_SITE): "full"}
    await at(db, found, NOW)
    await at(db, found, NOW + MINUTE)
    assert len(await every(db, alert_messages)) == 3
    await forget_website(db, SITE, actor=COMMAND)
    for table in (alerts, alert_messages, alert_targets):
        (left,) = await every(db, table)
        assert left.website_id != SITE
