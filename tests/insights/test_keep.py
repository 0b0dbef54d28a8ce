"""Kept figures are those that the threads tell, whatever happened since they were kept (SPEC V8)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
import pytest_asyncio
from sqlalchemy import delete, func, select, update

from app.conversations.tables import conversations, messages, operators
from app.db.changes import change_batches, change_counters
from app.db.feed import drop_changes
from app.errors import Refused
from app.insights import keep, read
from app.insights.groups import By
from app.insights.keep import catch_up, read_changed
from app.insights.read import Period, hours_of, read_groups, read_opened
from app.insights.risk import Limits, accounts_at_risk
from app.insights.tables import thread_facts, thread_facts_places
from app.pages.queries_overview import waiting_and_newest
from app.sandbox.churn import FULL_MIX, make
from app.websites.business_hours import DEFAULT
from app.websites.tables import websites
from tests.pulling import Crispsync, sandbox_and_crispsync

EVER = Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
NOW = datetime(2031, 1, 1, tzinfo=UTC)
MIX = sorted(kind for kind in FULL_MIX if kind not in {"installed", "uninstalled"})


@pytest_asyncio.fixture
async def crisp(database_url: str) -> AsyncIterator[Crispsync]:
    async with sandbox_and_crispsync(
        database_url, people=30, conversations=60, frozen=True, others=()
    ) as found:
        assert await found.run("full") == "done"
        yield found


async def change_and_pull(crisp: Crispsync, count: int = 40) -> None:
    dice = random.Random(count)
    for _ in range(count):
        crisp.world.clock.advance(90_000)
        make(crisp.world, crisp.world.main, dice.choice(MIX))
    crisp.world.clock.advance(300_000)
    assert await crisp.run("incremental") == "done"


async def groups(connection: Any, crisp: Crispsync) -> dict[str, Any]:
    website_id = crisp.website_id
    hours = await hours_of(connection, website_id, DEFAULT)
    changed = await read_changed(connection, website_id)
    return {
        by: await read_groups(connection, website_id, by, EVER, hours) for by in get_args(By)
    } | {
        "each": sorted(
            await read_opened(connection, website_id, EVER, hours), key=lambda one: one.id
        ),
        "at risk": await accounts_at_risk(
            connection, website_id, NOW, changed, limits=Limits(waiting_hours=1)
        ),
        "waiting": await waiting_and_newest(connection, website_id, 100, changed),
    }


async def told(crisp: Crispsync) -> dict[str, Any]:
    async with crisp.db.read() as connection:
        return await groups(connection, crisp)


async def from_the_threads(crisp: Crispsync) -> dict[str, Any]:
    """As if nothing had been kept."""
    async with crisp.db.write() as connection:
        savepoint = await connection.begin_nested()
        await connection.execute(delete(thread_facts_places))
        found = await groups(connection, crisp)
        await savepoint.rollback()
    return found


async def execute(crisp: Crispsync, statement: Any) -> None:
    async with crisp.db.write() as connection:
        await connection.execute(statement)


async def is_read_from_threads(crisp: Crispsync, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether figures need more threads to be read than none."""
    with monkeypatch.context() as patch:
        patch.setattr(read, "MOST_READ", 0)
        try:
            await told(crisp)
        except Refused:
            return True
    return False


async def test_kept_figures_are_those_of_the_threads(
    crisp: Crispsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await is_read_from_threads(crisp, monkeypatch)
    await catch_up(crisp.db, DEFAULT)
    assert not await is_read_from_threads(crisp, monkeypatch)
    assert await told(crisp) == await from_the_threads(crisp)
    for count in (40, 41, 42):
        before = await told(crisp)
        await change_and_pull(crisp, count)
        # What was kept is old now, and what is told is not.
        assert await is_read_from_threads(crisp, monkeypatch)
        now = await told(crisp)
        assert now == await from_the_threads(crisp)
        assert now != before
        await catch_up(crisp.db, DEFAULT)
        assert not await is_read_from_threads(crisp, monkeypatch)
        assert await told(crisp) == now


async def test_an_operator_is_called_by_the_name_of_now(crisp: Crispsync) -> None:
    await catch_up(crisp.db, DEFAULT)
    await execute(crisp, update(operators).values(name=operators.c.name + " II"))
    now = await told(crisp)
    assert any(group.name.endswith(" II") for group in now["operator"])
    assert now == await from_the_threads(crisp)
    await execute(crisp, delete(operators))
    assert await told(crisp) == await from_the_threads(crisp)


async def test_other_hours_hold_at_once(crisp: Crispsync, monkeypatch: pytest.MonkeyPatch) -> None:
    await catch_up(crisp.db, DEFAULT)
    before = await told(crisp)
    await execute(
        crisp, update(websites).values(business_hours="sat 10:00-11:00", time_zone="Asia/Tokyo")
    )
    now = await told(crisp)
    assert now["each"] != before["each"]
    assert now == await from_the_threads(crisp)
    await catch_up(crisp.db, DEFAULT)
    assert not await is_read_from_threads(crisp, monkeypatch)
    assert await told(crisp) == now


async def test_what_was_dropped_from_the_feed_is_read_anew(
    crisp: Crispsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catch_up(crisp.db, DEFAULT)
    await change_and_pull(crisp)
    async with crisp.db.write() as connection:
        assert await drop_changes(connection, datetime(2100, 1, 1, tzinfo=UTC))
    assert await told(crisp) == await from_the_threads(crisp)
    await catch_up(crisp.db, DEFAULT)
    assert not await is_read_from_threads(crisp, monkeypatch)
    assert await told(crisp) == await from_the_threads(crisp)


async def test_half_made_anew(crisp: Crispsync, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "THREADS", 7)
    monkeypatch.setattr(keep, "BATCHES", 1)
    stopping = asyncio.Event()
    for _ in range(4):
        (place,) = await keep._websites_behind(crisp.db, DEFAULT)
        await keep._step(crisp.db, place)
    async with crisp.db.read() as connection:
        half = await connection.scalar(select(func.count()).select_from(thread_facts))
    assert 0 < (half or 0) < 60
    assert await told(crisp) == await from_the_threads(crisp)
    await change_and_pull(crisp)
    assert await told(crisp) == await from_the_threads(crisp)
    await catch_up(crisp.db, DEFAULT, stopping)
    assert not await is_read_from_threads(crisp, monkeypatch)
    assert await told(crisp) == await from_the_threads(crisp)


async def test_several_at_once_and_an_old_one(crisp: Crispsync) -> None:
    """A process that slept since it read must not put back what another kept meanwhile."""
    await catch_up(crisp.db, DEFAULT)
    await change_and_pull(crisp)
    (old,) = await keep._websites_behind(crisp.db, DEFAULT)
    await asyncio.gather(*(catch_up(crisp.db, DEFAULT) for _ in range(3)))
    now = await told(crisp)
    assert now == await from_the_threads(crisp)
    async with crisp.db.read() as connection:
        rows = await keep._facts(connection, old, [await _a_thread(crisp)])
    spoiled = [{**row, "reopenings": 99} for row in rows]
    async with crisp.db.write() as connection:
        await keep._save(connection, old, {"number": old.last}, spoiled)
    assert await told(crisp) == now


async def _a_thread(crisp: Crispsync) -> str:
    (row, *_) = await crisp.rows(
        select(conversations.c.id).where(conversations.c.message_count > 2)
    )
    return str(row.id)


async def test_a_thread_that_is_gone(crisp: Crispsync) -> None:
    await catch_up(crisp.db, DEFAULT)
    own_id = await _a_thread(crisp)
    async with crisp.db.write() as connection:
        await connection.execute(delete(conversations).where(conversations.c.id == own_id))
    left = await crisp.rows(select(thread_facts).where(thread_facts.c.conversation_id == own_id))
    assert left == []
    assert await told(crisp) == await from_the_threads(crisp)


async def test_a_thread_of_which_nothing_is_left(crisp: Crispsync) -> None:
    await catch_up(crisp.db, DEFAULT)
    own_id = await _a_thread(crisp)
    async with crisp.db.write() as connection:
        from app.db.changes import note_changes

        gone = await connection.execute(
            delete(messages)
            .where(messages.c.conversation_id == own_id)
            .returning(messages.c.fingerprint)
        )
        keys = [(own_id, row.fingerprint) for row in gone]
        note_changes(connection, "message", crisp.website_id, keys)
    assert await told(crisp) == await from_the_threads(crisp)
    await catch_up(crisp.db, DEFAULT)
    assert await told(crisp) == await from_the_threads(crisp)
    (row,) = await crisp.rows(select(thread_facts).where(thread_facts.c.conversation_id == own_id))
    assert (row.first_inbound_at, row.reopenings, row.last_contact_at) == (None, 0, None)


async def test_nothing_to_do_writes_nothing(crisp: Crispsync) -> None:
    await catch_up(crisp.db, DEFAULT)
    assert await keep._websites_behind(crisp.db, DEFAULT) == []
    counted = await crisp.rows(select(change_counters.c.last))
    batches = await crisp.rows(select(func.count()).select_from(change_batches))
    await catch_up(crisp.db, DEFAULT)
    assert await crisp.rows(select(change_counters.c.last)) == counted
    assert await crisp.rows(select(func.count()).select_from(change_batches)) == batches
