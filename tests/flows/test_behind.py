"""What is stored is behind Crisp, or ahead of a cached answer; the plugin goes and comes back; clocks differ."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import select

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.errors import NotFound, Refused
from app.ingest import ingest
from app.records import Batch
from app.sandbox.conversation_changes import begin_conversation, set_field
from app.sandbox.installs import reinstall, uninstall
from app.sandbox.message_changes import edit_message, send_message
from app.sync.execute import execute
from app.sync.leases import fence
from app.sync.pull import CLOCK_DOUBT_MS
from app.sync.runs import request_run
from app.sync.tables import sync_runs
from app.tables import metadata
from app.websites.connect import disconnect, forget_website
from app.websites.rules import lock_website, rules_of
from app.websites.tables import websites
from tests.flows.steps import until
from tests.ingesting import MINUTE, person
from tests.pulling import Crispsync, sandbox_and_crispsync


async def bodies(crisp: Crispsync) -> dict[int, str]:
    return {row.fingerprint: row.body for row in await crisp.rows(select(messages))}


async def stored(crisp: Crispsync) -> dict[str, int]:
    """How many rows each table of the website has."""
    # What was asked for counts, and who did what is told, whatever came of it.
    aside = {"sync_runs", "quota_usage", "audit_log"}
    counted = [t for t in metadata.sorted_tables if "website_id" in t.c and t.name not in aside]
    return {t.name: len(await crisp.rows(select(t.c.website_id))) for t in counted}


async def website_status(crisp: Crispsync) -> str:
    query = select(websites.c.status).where(websites.c.id == crisp.website_id)
    return str((await crisp.rows(query))[0].status)


async def test_case_048_an_edit_nobody_told_of_is_seen_when_its_conversation_moves(
    database_url: str,
) -> None:
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        world, site = crisp.world, crisp.world.main
        i, _ = begin_conversation(world, site, content="Hello", meta={"email": ""})
        for n in range(60):
            at_ms = world.clock.now() + n
            send_message(world, site, i, f"message {n}", fingerprint=n, at_ms=at_ms)
        assert await crisp.run("full") == "done"
        edit_message(world, site, i, 55, "message 55, corrected", bump=False)
        assert await crisp.run("incremental") == "done"
        assert (await bodies(crisp))[55] == "message 55", "nothing tells of it yet"
        at_ms = world.clock.now() + 1000
        send_message(world, site, i, "one more", fingerprint=60, at_ms=at_ms)
        assert await crisp.run("incremental") == "done"
        assert (await bodies(crisp))[55] == "message 55, corrected"
        await crisp.assert_equals_truth()


async def test_case_049_a_stale_answer_undoes_nothing(database_url: str) -> None:
    """Crisp's cache repeats what it said before an edit that is stored already."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        world, site = crisp.world, crisp.world.main
        i, _ = begin_conversation(world, site, content=None)
        send_message(world, site, i, "before", fingerprint=1)
        world.faults.add("stale", seconds=600, route="*/messages")
        assert await crisp.run("full") == "done"
        world.faults.clear()
        edit_message(world, site, i, 1, "after")
        assert await crisp.run("incremental") == "done"
        assert (await bodies(crisp))[1] == "after"
        world.faults.add("stale", seconds=600, route="*/messages")
        send_message(world, site, i, "news", fingerprint=2)
        assert await crisp.run("incremental") == "partial", "the cache does not know of the news"
        found = await bodies(crisp)
        assert found[1] == "after"
        assert 2 not in found
        world.faults.clear()
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_050_uninstalled_in_the_middle_of_a_run(database_url: str) -> None:
    """At any request: the run ends, nothing is deleted, nothing goes on until it is installed again."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=60) as crisp:
        before: dict[str, int] = {}
        for step in (0, 1, 4, 12, 40):
            crisp.world.faults.add("uninstall", after=step, count=1)
            assert await crisp.run("full") == "cancelled"
            crisp.world.faults.clear()
            assert await website_status(crisp) == "uninstalled"
            row = await crisp.last_run()
            assert (row.state, row.lease_until_ms) == ("cancelled", 0)
            assert "not installed" in row.error
            with pytest.raises(Refused, match="no longer installed"):
                await crisp.claim("incremental")
            now = await stored(crisp)
            assert all(now[name] >= count for name, count in before.items())
            assert not await crisp.rows(select(contacts).where(contacts.c.deleted_at.is_not(None)))
            before = now
            reinstall(crisp.world, crisp.world.main)
            await crisp.connect()
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_051_a_job_of_an_older_installation_writes_nothing(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=20, conversations=20) as crisp:
        held = await crisp.claim("full")
        uninstall(crisp.world, crisp.world.main)
        await disconnect(crisp.db, crisp.website_id)
        reinstall(crisp.world, crisp.world.main)
        await crisp.connect()
        assert await execute(crisp.db, crisp.client, held) == "lost"
        assert set((await stored(crisp)).values()) == {0}
        assert (await crisp.last_run()).state == "cancelled"
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_051_reinstalled_twice_while_a_run_is_at_work(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=120, conversations=200) as crisp:
        run = asyncio.create_task(crisp.run("full"))
        await until(lambda: crisp.world.counters.total >= 60)
        for _ in range(2):
            await disconnect(crisp.db, crisp.website_id)
            await crisp.connect()
        seen = await stored(crisp)
        assert await run == "lost"
        assert await stored(crisp) == seen, (
            "what the old installation wrote came before the new one"
        )
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_051_erasing_waits_for_the_page_that_is_being_written(
    database_url: str,
) -> None:
    """Else the page would be committed into a website that is no more."""
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        held = await crisp.claim("full")
        async with crisp.db.write() as connection:
            await lock_website(connection, crisp.website_id)
            await fence(connection, held)
            rules = await rules_of(connection, crisp.website_id)
            await ingest(connection, rules, Batch(rules.id, contacts=[person("p")]))
            erasing = asyncio.create_task(forget_website(crisp.db, crisp.website_id))
            done, _ = await asyncio.wait({erasing}, timeout=0.3)
            assert not done
        await erasing
        assert set((await stored(crisp)).values()) == {0}
        with pytest.raises(NotFound):
            await execute(crisp.db, crisp.client, held)


@pytest.mark.parametrize("minutes", [10, -10])
async def test_case_052_this_machines_clock_is_ten_minutes_off(
    database_url: str, minutes: int
) -> None:
    """Windows end and versions are made by Crisp's clock: nothing is left out, nothing stays old."""
    start_ms = round(time.time() * 1000) + minutes * MINUTE
    async with sandbox_and_crispsync(
        database_url, people=60, conversations=60, start_ms=start_ms
    ) as crisp:
        world, site = crisp.world, crisp.world.main
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        row: Any = (await crisp.rows(select(websites)))[0]
        lag_ms = world.clock.now() - row.conversations_read_to_ms
        # By what the first answers tell of that clock, which is known to less than CLOCK_DOUBT_MS.
        assert 2 * MINUTE - CLOCK_DOUBT_MS < lag_ms < 3 * MINUTE, (
            "behind Crisp's clock, not this one"
        )
        send_message(world, site, 3, "One more thing")
        set_field(world, site, 4, "state", "resolved")
        begin_conversation(world, site, content="Somebody new", people_id=site.people_id(7))
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()
        observed = [r.observed_ms for r in await crisp.rows(select(conversations.c.observed_ms))]
        assert abs(max(observed) - world.clock.now()) < MINUTE


async def test_case_052_a_lease_ends_by_the_clock_of_the_database(database_url: str) -> None:
    from app.db.upsert import db_now_ms

    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        held = await crisp.claim("full")
        async with crisp.db.read() as connection:
            now_ms = await connection.scalar(select(db_now_ms(connection)))
            until_ms = await connection.scalar(select(sync_runs.c.lease_until_ms))
            assert held.lease_ms - 5_000 < int(until_ms or 0) - int(now_ms or 0) <= held.lease_ms
