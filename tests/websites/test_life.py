"""The life of a website: appears by itself, waits, is paused, uninstalled, installed again (SPEC C4, C7, C9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from app.accounts.actors import COMMAND, Actor, Forbidden, Role
from app.accounts.tables import audit_log
from app.crisp.scopes import outcomes_query, scope_of
from app.db.turns import give_turn_back, take_turn
from app.errors import Conflict, Refused
from app.sandbox.installs import reinstall, uninstall
from app.settings import Settings
from app.sync.comparing import EVERY, compare_in_turn
from app.sync.connection import pause_connection, resume_connection
from app.sync.execute import execute
from app.sync.leases import claim
from app.sync.processes import beat, working
from app.sync.runs import ask, request_run
from app.sync.tables import sync_runs
from app.sync.worker import Worker
from app.vault.keys import load_keyring
from app.webhooks.apply import apply_waiting
from app.webhooks.parking import look_at_parked
from app.webhooks.tables import inbox_events
from app.websites.connect import disconnect, forget_website
from app.websites.installation import note_installation
from app.websites.subscriptions import ask_token, compare, read_token
from app.websites.tables import websites
from tests.fixtures.program import SECRET_KEY
from tests.hooking import hook, receive, row_of
from tests.pulling import Crispsync, sandbox_and_crispsync

OTHERS = ((2, 2, True), (2, 2, False))


def settings_of(crisp: Crispsync) -> Settings:
    return Settings(
        secret_key=SecretStr(SECRET_KEY),
        crisp_api_url=crisp.url,
        crisp_identifier=crisp.world.identifier,
        crisp_key=SecretStr(crisp.world.key),
        crisp_plugin_id=crisp.world.plugin_id,
        crisp_daily_quota=1_000_000,
    )


@asynccontextmanager
async def small(url: str, *, connect: bool = True, others: Any = ()) -> AsyncIterator[Crispsync]:
    async with sandbox_and_crispsync(
        url, people=4, conversations=4, connect=connect, others=others
    ) as crisp:
        yield crisp


async def compared(crisp: Crispsync) -> Any:
    return await compare(crisp.db, settings_of(crisp), crisp.client, crisp.world.plugin_id)


async def statuses(crisp: Crispsync) -> dict[str, str]:
    rows = await crisp.rows(select(websites.c.id, websites.c.status))
    return {row.id: row.status for row in rows}


async def the_website(crisp: Crispsync) -> Any:
    return (await crisp.rows(select(websites).where(websites.c.id == crisp.website_id)))[0]


# SPEC C4
async def test_installed_websites_appear_and_wait(database_url: str) -> None:
    async with small(database_url, connect=False, others=OTHERS) as crisp:
        done = await compared(crisp)
        main, installed, absent = crisp.world.sites.values()
        assert await statuses(crisp) == {
            main.website_id: "waiting",
            installed.website_id: "waiting",
        }
        assert set(done.appeared) == {main.website_id, installed.website_id}
        assert absent.website_id not in done.appeared
        assert (await the_website(crisp)).name == main.name
        keyring = load_keyring(settings_of(crisp))
        assert await read_token(crisp.db, keyring, main.website_id) == main.token
        asked = await ask_token(crisp.client, main.website_id, crisp.world.plugin_id)
        assert asked == main.token
        again = await compared(crisp)
        assert (again.appeared, again.gone) == ((), ())


# SPEC C4; FAILURES case 19
async def test_case_019_hooks_before_the_installation_is_known_are_applied(
    database_url: str,
) -> None:
    async with small(database_url, connect=False) as crisp:
        body = hook("people:profile:created", website_id=crisp.website_id, people_id="p-1")
        await receive(crisp.db, row_of(body))
        await apply_waiting(crisp.db)
        await compared(crisp)
        await look_at_parked(crisp.db)
        assert (await crisp.rows(select(inbox_events.c.state)))[0].state == "parked", "it waits"
        assert await crisp.run("full") == "done"  # SPEC C7: the first import connects it
        assert (await statuses(crisp))[crisp.website_id] == "connected"
        await look_at_parked(crisp.db)
        await apply_waiting(crisp.db)
        assert (await crisp.rows(select(inbox_events.c.state)))[0].state == "done"


async def test_what_waits_takes_a_full_sync_or_a_backfill_only(sqlite_url: str) -> None:
    async with small(sqlite_url, connect=False) as crisp:
        await compared(crisp)
        with pytest.raises(Refused, match="waits for its first import"):
            await request_run(crisp.db, crisp.website_id, "incremental", started_by="test")
        assert (await the_website(crisp)).status == "waiting"


# FAILURES case 40
async def test_case_040_what_is_missing_in_the_list_is_asked_for_by_itself(
    database_url: str,
) -> None:
    async with small(database_url, others=OTHERS) as crisp:
        crisp.world.faults.add("empty_page", count=1)
        assert (await compared(crisp)).gone == (), "an empty answer is no uninstallation"
        assert (await statuses(crisp))[crisp.website_id] == "connected"
        uninstall(crisp.world, crisp.world.main)
        assert (await compared(crisp)).gone == (crisp.website_id,)
        row = await the_website(crisp)
        assert (row.status, "data is kept" in row.attention) == ("uninstalled", True)
        reinstall(crisp.world, crisp.world.main)
        assert (await compared(crisp)).appeared == (crisp.website_id,)
        again = await the_website(crisp)
        assert again.status == "waiting", "it was never imported"
        assert again.generation == row.generation + 1


# FAILURES cases 50, 51
@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 6, 9])
@pytest.mark.parametrize("twice", [False, True])
async def test_case_050_051_uninstalled_and_reinstalled_at_each_step(
    sqlite_url: str, steps: int, twice: bool
) -> None:
    """By hook, in the middle of a sync: the old run writes nothing any more, a new one goes on."""
    async with sandbox_and_crispsync(sqlite_url, people=60, conversations=60) as crisp:
        held = await crisp.claim("full")
        before = (await the_website(crisp)).generation
        real, left = crisp.client._ask, steps
        changing: list[asyncio.Task[None]] = []

        async def change() -> None:
            for _ in range(1 + twice):
                await told(crisp, uninstall(crisp.world, crisp.world.main))
                await told(crisp, reinstall(crisp.world, crisp.world.main))

        async def counting(*given: Any) -> Any:
            nonlocal left
            left -= 1
            if (
                left == -1
            ):  # a task of its own: the run, which is cut off by it, must not cut it off
                changing.append(asyncio.create_task(change()))
                await asyncio.shield(changing[0])
            return await real(*given)

        crisp.client._ask = counting  # type: ignore[method-assign, assignment]
        assert await execute(crisp.db, crisp.client, held) in {"lost", "cancelled"}
        await changing[0]
        crisp.client._ask = real  # type: ignore[method-assign]
        old = (await crisp.rows(select(sync_runs).where(sync_runs.c.id == held.run_id)))[0]
        assert old.state == "cancelled"
        row = await the_website(crisp)
        assert (row.status, row.generation) == ("connected", before + 1 + twice)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def told(crisp: Crispsync, change: Any) -> None:
    """The hook of an installation or its end, applied."""
    crisp.world.clock.advance(2_000)
    installed = change.kind == "installed"
    at_ms = crisp.world.clock.now()
    await crisp.db.transact(lambda c: note_installation(c, crisp.website_id, at_ms, installed))


async def test_case_050_uninstalled_stays_so_and_keeps_everything(database_url: str) -> None:
    async with small(database_url) as crisp:
        assert await crisp.run("full") == "done"
        await told(crisp, uninstall(crisp.world, crisp.world.main))
        await crisp.assert_equals_truth()
        with pytest.raises(Refused, match="no longer installed"):
            await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        await told(crisp, reinstall(crisp.world, crisp.world.main))
        assert (await the_website(crisp)).status == "connected", "it goes on by itself"


async def test_case_051_a_late_hook_of_an_earlier_end_changes_nothing(sqlite_url: str) -> None:
    async with small(sqlite_url) as crisp:
        told_ms = (await the_website(crisp)).installation_told_ms
        assert told_ms > 0
        await crisp.db.transact(
            lambda c: note_installation(c, crisp.website_id, told_ms - 1, installed=False)
        )
        assert (await the_website(crisp)).status == "connected"


# SPEC C9
async def test_paused_and_resumed_with_its_runs(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=60, conversations=60) as crisp:
        held = await crisp.claim("full")
        by_person = await request_run(crisp.db, crisp.website_id, "incremental", started_by="test")
        await ask(crisp.db, crisp.website_id, by_person, "pause")
        real, left = crisp.client._ask, 3

        async def counting(*given: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                await pause_connection(crisp.db, COMMAND, crisp.website_id)
            return await real(*given)

        crisp.client._ask = counting  # type: ignore[method-assign, assignment]
        assert await execute(crisp.db, crisp.client, held) == "lost"
        crisp.client._ask = real  # type: ignore[method-assign]
        assert await claim(crisp.db, "test", 10) is None, "everything stands still"
        assert (await the_website(crisp)).status == "paused"
        body = hook("people:profile:created", website_id=crisp.website_id, people_id="p-1")
        await receive(crisp.db, row_of(body))
        await apply_waiting(crisp.db)
        assert (await crisp.rows(select(inbox_events.c.state)))[0].state == "parked"
        with pytest.raises(Conflict, match="paused, not connected"):
            await pause_connection(crisp.db, COMMAND, crisp.website_id)
        await resume_connection(crisp.db, COMMAND, crisp.website_id)
        again = await claim(crisp.db, "test", 10)
        assert again is not None
        assert again.run_id == held.run_id, "it goes on where it stopped"
        assert await execute(crisp.db, crisp.client, again) == "done"
        await crisp.assert_equals_truth()
        assert await claim(crisp.db, "test", 10) is None, "what a person paused stays so"
        await look_at_parked(crisp.db)
        await apply_waiting(crisp.db)
        assert (await crisp.rows(select(inbox_events.c.state)))[0].state == "done"


async def test_changes_of_a_connection_are_for_admins_and_audited(sqlite_url: str) -> None:
    async with small(sqlite_url) as crisp:
        member = Actor("user", "u", "u", Role.MEMBER)
        with pytest.raises(Forbidden):
            await pause_connection(crisp.db, member, crisp.website_id)
        await pause_connection(crisp.db, COMMAND, crisp.website_id)
        await resume_connection(crisp.db, COMMAND, crisp.website_id)
        await disconnect(crisp.db, crisp.website_id, actor=COMMAND)
        rows = await crisp.rows(select(audit_log.c.action).order_by(audit_log.c.at))
        assert [row.action for row in rows] == [
            "website.connected", "website.paused", "website.resumed", "website.disconnected",
        ]  # fmt: skip
        await forget_website(crisp.db, crisp.website_id, actor=COMMAND)
        left = await crisp.rows(select(audit_log))
        assert [(row.action, row.website_id) for row in left] == [("website.erased", None)]


async def test_one_process_takes_a_turn(database_url: str) -> None:
    async with small(database_url, connect=False) as crisp:
        asked = await asyncio.gather(*(take_turn(crisp.db, "t", 60) for _ in range(8)))
        assert sorted(asked) == [False] * 7 + [True]
        assert not await take_turn(crisp.db, "t", 60)
        await give_turn_back(crisp.db, "t", 0, 60)
        assert await take_turn(crisp.db, "t", 60)
        assert await take_turn(crisp.db, "other", 60)


async def test_a_worker_compares_tells_that_it_works_and_what_scopes_it_saw(
    database_url: str,
) -> None:
    async with small(database_url, connect=False) as crisp:
        worker = Worker(crisp.db, settings_of(crisp))
        crisp.world.faults.add("status", status=503)
        with pytest.raises(Exception, match="problem of its own"):
            await compare_in_turn(crisp.db, worker, 60)
        crisp.world.faults.clear()
        assert await compare_in_turn(crisp.db, worker, EVERY) is None, "not at once again"
        async with crisp.db.write() as connection:
            await connection.execute(update(websites).values(status="waiting"))
        await give_turn_back(crisp.db, "compare websites", 0, 60)
        done = await compare_in_turn(crisp.db, worker, 60)
        assert done is not None
        assert done.appeared == (crisp.website_id,)
        await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        crisp.world.faults.add("status", status=403, route="*/operators/list")
        await worker.work_off()
        await crisp.db.transact(lambda c: beat(c, worker, "me"))
        async with crisp.db.read() as connection:
            (row,) = await working(connection)
            found = (await connection.execute(outcomes_query(crisp.client.budget.credential))).all()
        assert row.name == "me"
        assert abs(row.ahead_of_database_ms) < 5_000
        assert abs(row.ahead_of_crisp_ms) < 5_000
        worked = {outcome.scope for outcome in found if outcome.worked_at}
        assert {"website:people:profiles", "website:conversation:sessions"} <= worked
        assert {o.scope for o in found if o.refused_at} == {"website:operators"}
        await worker.close()


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("website/w/conversations/1", "website:conversation:sessions"),
        ("website/w/conversation/s", "website:conversation:sessions"),
        ("website/w/conversation/s/messages", "website:conversation:messages"),
        ("website/w/people/data/p", "website:people:data"),
        ("website/w", None),
    ],
)
def test_routes_name_their_scope(path: str, scope: str | None) -> None:
    assert scope_of(path) == scope
