"""The plugin's credential: from the environment or entered, taken anew for each piece of work (SPEC P2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import delete, select

from app.accounts.actors import COMMAND, Actor, Forbidden, Role
from app.accounts.tables import audit_log
from app.db.session import Database, open_database
from app.errors import Refused
from app.settings import Settings
from app.sync.runs import request_run
from app.sync.usage import read_quota
from app.sync.worker import Worker
from app.vault.store import check_at_start
from app.vault.tables import sealed_secrets
from app.webhooks.intake import look
from app.websites.credential import ENTER_AGAIN, NO_CREDENTIAL, read_credential, store_credential
from tests.fixtures.program import SECRET_KEY
from tests.pulling import sandbox_and_crispsync
from tests.webhooks.taking import SECRET, headers_for, hook_body, taking_hooks

OTHER_KEY = "another-0123456789-abcdefghijklmnopqrst"


def settings_of(**given: Any) -> Settings:
    return Settings(**{"secret_key": SecretStr(SECRET_KEY), **given})


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


async def enter(db: Database, settings: Settings, **values: str) -> None:
    await db.transact(lambda c: store_credential(c, settings, COMMAND, values))


async def test_entered_is_read_and_the_environment_comes_first(db: Database) -> None:
    settings = settings_of()
    assert (await read_credential(db, settings)).trouble == NO_CREDENTIAL
    await enter(db, settings, identifier="i", key="k", plugin_id="p", signing_secrets="new, old")
    found = await read_credential(db, settings)
    assert (found.identifier, found.key, found.plugin_id) == ("i", "k", "p")
    assert found.signing_secrets == (b"new", b"old")
    told = settings_of(crisp_identifier="of-env", crisp_key=SecretStr("env-key"))
    found = await read_credential(db, told)
    assert (found.identifier, found.key, found.plugin_id) == ("of-env", "env-key", "p")
    half = settings_of(crisp_identifier="of-env")
    assert (await read_credential(db, half)).identifier == "i", "the halves of two do not fit"
    await enter(db, settings, identifier="", key="")
    assert (await read_credential(db, settings)).trouble == NO_CREDENTIAL


# FAILURES case 87
async def test_case_087_lost_key_says_enter_it_again(
    db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await enter(db, settings_of(), identifier="i", key="very-secret", plugin_id="p")
    wrong = settings_of(secret_key=SecretStr(OTHER_KEY))
    found = await read_credential(db, wrong)
    assert found.trouble == ENTER_AGAIN
    assert found.unreadable == ("identifier", "key", "plugin_id")
    with pytest.raises(Refused, match="enter the credential again"):
        found.require()
    assert (await read_quota(db, wrong)).used == 0
    await check_at_start(db, wrong)
    assert "very-secret" not in capsys.readouterr().out
    await enter(db, wrong, identifier="i", key="again")
    assert (await read_credential(db, wrong)).require().key == "again"


async def test_entering_is_for_admins_and_leaves_a_trace_without_the_values(db: Database) -> None:
    viewer = Actor("user", "u", "u", Role.MEMBER)
    with pytest.raises(Forbidden):
        await db.transact(lambda c: store_credential(c, settings_of(), viewer, {"key": "k"}))
    await enter(db, settings_of(), key="very-secret")
    async with db.read() as connection:
        entry = (await connection.execute(select(audit_log))).one()
    assert entry.action == "credential.stored"
    assert (entry.before, entry.after) == ({"key": "not set"}, {"key": "set"})


async def test_a_credential_entered_later_is_used_by_a_worker_that_runs(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        settings = settings_of(crisp_api_url=crisp.url, crisp_daily_quota=1_000_000)
        worker = Worker(crisp.db, settings)
        wrong = {"identifier": crisp.world.identifier, "key": "0" * 64}
        for credential, state in (
            ({}, "failed"),
            (wrong, "failed"),
            ({**wrong, "key": crisp.world.key}, "done"),
        ):
            if credential:
                await enter(crisp.db, settings, **credential)
            await request_run(crisp.db, crisp.website_id, "full", started_by="test")
            await worker.work_off()
            assert (await crisp.last_run()).state == state
        await worker.close()


async def test_a_signing_secret_entered_later_counts_without_a_restart(database_url: str) -> None:
    body = hook_body()
    async with taking_hooks(database_url, None) as site:
        assert (await site.send(body)).status_code == 403
        settings = settings_of(database_url=database_url)
        await enter(site.db, settings, signing_secrets=f"other,{SECRET}")
        await look(site.db, settings, site.app.state.hook_receiver)
        assert (await site.send(body)).status_code == 200
        async with site.db.write() as connection:
            await connection.execute(delete(sealed_secrets))
        await look(site.db, settings, site.app.state.hook_receiver)
        assert (await site.send(body)).status_code == 403


async def test_case_021_hooks_are_not_refused_while_the_secret_cannot_be_read(
    sqlite_url: str,
) -> None:
    """Refused, Crisp might give up; away, it sends them again."""
    async with taking_hooks(sqlite_url, None) as site:
        receiver = site.app.state.hook_receiver
        receiver._secrets = None
        assert (await site.send(hook_body(), headers_for(hook_body()))).status_code == 503
