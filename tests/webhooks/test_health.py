"""Counting hooks and reading the counts (SPEC V6, T2)."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from app.db.session import Database
from app.webhooks import hook_figures
from app.webhooks.health import (
    DELAY_STEPS,
    Counted,
    Outcome,
    count_hooks,
    percentile,
    step_of,
)
from app.webhooks.hook_figures import event_figures
from app.webhooks.silence import silent_since
from app.webhooks.tables import hook_days, hook_refusals
from app.websites.missed import count_missed
from tests.webhooks.conftest import NOW, OTHER, SITE, Put, ago, an_event, connect_website


def counted(
    delay_ms: float = 100, outcome: Outcome = "done", *, at: datetime = NOW, **given: Any
) -> Counted:
    done = at + timedelta(milliseconds=delay_ms)
    plain = {"website_id": SITE, "event": "message:send", "first_attempt": 1}
    return Counted(**{**plain, **given}, received_at=at, done_at=done, outcome=outcome)


async def count(db: Database, *hooks: Counted) -> None:
    async with db.write() as connection:
        await count_hooks(connection, hooks)


def test_steps_grow_by_a_quarter_at_most() -> None:
    assert DELAY_STEPS[0] == 1
    assert DELAY_STEPS[-1] > 10 * 86_400_000
    for lower, upper in pairwise(DELAY_STEPS):
        assert lower < upper <= max(lower + 1, lower * 1.25)


def test_percentiles_are_right_within_fifteen_percent() -> None:
    dice = random.Random(5)
    for spread in (0.3, 1.0, 3.0):
        delays = sorted(max(1, int(math.exp(dice.gauss(7, spread)))) for _ in range(2_001))
        steps: dict[str, int] = {}
        for delay in delays:
            steps[str(step_of(delay))] = steps.get(str(step_of(delay)), 0) + 1
        for share in (0.5, 0.95):
            true = delays[math.ceil(share * len(delays)) - 1]
            assert percentile(steps, share) == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize("ms", [-5, 0, 1, 2, 3, 9, 86_400_000, 10**15])
def test_every_delay_has_a_step(ms: int) -> None:
    shown = percentile({str(step_of(ms)): 1}, 0.5)
    assert shown == pytest.approx(min(max(ms, 1), DELAY_STEPS[-1]), rel=0.15)


def test_no_delay_no_percentile() -> None:
    assert percentile({}, 0.5) is None


async def test_counts_add_up(db: Database) -> None:
    await count(
        db, counted(90), counted(110), counted(5000), counted(0, "ignored"),
        counted(0, "dead", first_attempt=2), counted(event="people:bind:session", website_id=""),
    )  # fmt: skip
    await count(db, counted(105, at=NOW + timedelta(seconds=3)), counted(7, website_id=OTHER))
    async with db.read() as connection:
        (figures,) = await event_figures(connection, SITE)
        (nobodys,) = await event_figures(connection, "")
        (others,) = await event_figures(connection, OTHER)
    assert (figures.event, figures.arrived) == ("message:send", 6)
    assert (figures.ignored, figures.dead, figures.repeated_first) == (1, 1, 1)
    assert figures.last_received_at == NOW + timedelta(seconds=3)
    assert figures.p50_ms == pytest.approx(105, rel=0.15)
    assert figures.p95_ms == pytest.approx(5000, rel=0.15)
    assert (nobodys.event, nobodys.arrived) == ("people:bind:session", 1)
    assert others.p50_ms == 7


async def test_an_older_hook_counted_later_is_not_the_last(db: Database) -> None:
    await count(db, counted(at=NOW.replace(hour=1)))
    await count(db, counted(at=NOW.replace(hour=0, minute=30)))
    async with db.read() as connection:
        (figures,) = await event_figures(connection, SITE)
    assert figures.last_received_at == NOW.replace(hour=1)


async def test_days_are_utc_and_old_ones_fall_out(db: Database) -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    await count(db, counted(at=late.astimezone()), counted(at=late + timedelta(hours=1)))
    async with db.read() as connection:
        days = (await connection.execute(select(hook_days.c.day).order_by("day"))).scalars().all()
        assert await event_figures(connection, SITE) == []
    assert days == ["2026-03-01", "2026-03-02"]


async def test_one_statement_for_a_batch(db: Database) -> None:
    statements: list[str] = []
    event.listen(
        db.engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    hooks = [
        counted(n, event=f"e:{n % 20}", website_id=(SITE, OTHER, "")[n % 3]) for n in range(500)
    ]
    await count(db, *hooks)
    assert len([text for text in statements if "hook_days" in text]) == 1
    await count(db)
    assert len([text for text in statements if "hook_days" in text]) == 1


async def test_exact_when_many_count_at_once(db: Database) -> None:
    """Nobody's hooks are counted by whoever meets them, under no common lock."""

    async def one(number: int) -> None:
        hooks = [counted(number, website_id="", event=f"e:{n % 5}") for n in range(40)]
        hooks += [counted(3, website_id=f"w{number}")]
        await db.transact(lambda connection: count_hooks(connection, hooks))

    await asyncio.gather(*(one(n) for n in range(12)))
    async with db.read() as connection:
        rows = (
            await connection.execute(select(hook_days).where(hook_days.c.website_id == ""))
        ).all()
    assert sum(row.arrived for row in rows) == 12 * 40
    assert sum(sum(row.delays.values()) for row in rows) == 12 * 40


async def test_missed_hooks_are_counted_per_day_and_kind(db: Database) -> None:
    async with db.write() as connection:
        for missed in (3, 0, 4):
            await count_missed(connection, SITE, "message", missed)
        await count_missed(connection, SITE, "contact", 1)
        await count_missed(connection, OTHER, "message", 9)
    async with db.read() as connection:
        rows = await hook_figures.missed_per_day(connection, SITE)
    today = datetime.now(UTC).date().isoformat()
    assert [tuple(row) for row in rows] == [(today, "contact", 1), (today, "message", 7)]


async def test_refusals(db: Database) -> None:  # SPEC P3
    async with db.write() as connection:
        for cause, refused, at in (("signature", 12, ago(hours=1)), ("too large", 1, NOW)):
            row = {"cause": cause, "refused": refused, "last_at": at}
            await connection.execute(insert(hook_refusals).values(row))
    async with db.read() as connection:
        rows = await hook_figures.refusals(connection)
    assert [(row.cause, row.refused) for row in rows] == [("too large", 1), ("signature", 12)]


async def test_backlog_of_a_website_and_of_all(db: Database, put: Put) -> None:
    await connect_website(db)
    await connect_website(db, OTHER)
    await put(
        an_event(1, state="new", received_at=ago(hours=2)),
        an_event(2, state="new"),
        an_event(3, state="new", website_id=OTHER, received_at=ago(hours=9)),
        an_event(4), an_event(5, website_id=None), an_event(6, website_id=OTHER),
        an_event(7, state="parked", website_id=None), an_event(8, state="done"),
    )  # fmt: skip
    async with db.read() as connection:
        own = await hook_figures.backlog(connection, SITE)
        all_of_it = await hook_figures.backlog_of_all(connection)
    assert own == hook_figures.Backlog(2, ago(hours=2), 1, 2)
    assert all_of_it == hook_figures.Backlog(3, ago(hours=9), 1, 3)


async def test_last_arrival_counts_what_waits(db: Database, put: Put) -> None:
    async with db.read() as connection:
        assert await hook_figures.last_received(connection, SITE) is None
        assert await hook_figures.last_received_of_all(connection) is None
    await count(db, counted(at=ago(hours=3)))
    async with db.read() as connection:
        assert await hook_figures.last_received(connection, SITE) == ago(hours=3)
    await put(an_event(1, state="new"))
    async with db.read() as connection:
        assert await hook_figures.last_received(connection, SITE) == ago(hours=1)
        assert await hook_figures.last_received_of_all(connection) == ago(hours=1)


async def talk(
    db: Database, put: Put, days: range, hours: tuple[int, ...], a_day: int = 48
) -> None:
    """Hooks on each of these days ago, so many hours before this time of day."""
    events, hooks = [], []
    for day in days:
        for hour in hours:
            at = ago(days=day, hours=hour)
            events.append(an_event(f"{day}/{hour}", state="done", received_at=at))
            hooks += [counted(at=at)] * (a_day // len(hours))
    await put(*events)
    await count(db, *hooks)


async def warned(db: Database) -> bool:
    async with db.read() as connection:
        return await silent_since(connection, SITE) is not None


async def test_silent_when_it_usually_talks_now(db: Database, put: Put) -> None:
    await connect_website(db)
    await talk(db, put, range(1, 9), (0, 1, 2, 3, 4, 5))
    await talk(db, put, range(1), (6, 8))
    async with db.read() as connection:
        silence = await silent_since(connection, SITE)
    assert silence is not None
    assert silence.since == ago(hours=6)
    assert timedelta(minutes=20) < silence.usual_gap < timedelta(minutes=40)


async def test_a_quiet_night_is_no_silence(db: Database, put: Put) -> None:
    await connect_website(db)
    # Nothing in these hours on other days either.
    await talk(db, put, range(9), (10, 11, 12))
    assert not await warned(db)


async def test_not_within_the_hour_nor_within_the_usual_gap(db: Database, put: Put) -> None:
    await connect_website(db)
    await talk(db, put, range(1, 9), (0, 1, 2), a_day=3)  # one each eight hours
    await talk(db, put, range(1), (7,), a_day=1)
    assert not await warned(db)
    await put(an_event("fresh", state="new", received_at=ago(minutes=30)))
    assert not await warned(db)


async def test_a_website_that_rarely_talks_or_left_is_not_silent(db: Database, put: Put) -> None:
    assert not await warned(db)
    await talk(db, put, range(5, 8), (0, 1, 2, 3))
    assert not await warned(db)  # not here
    await connect_website(db)
    assert not await warned(db)  # on three days only


@pytest.mark.parametrize("status", ["uninstalled", "disconnected", "waiting"])
async def test_who_left_is_not_silent(db: Database, put: Put, status: str) -> None:
    await connect_website(db, status=status)
    await talk(db, put, range(1, 9), (0, 1, 2, 3, 4, 5))
    assert not await warned(db)
