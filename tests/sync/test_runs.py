"""Runs: asked for, attached to, paused, resumed, cancelled; due by schedule; their state in every case."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app import clock
from app.contacts.tables import contacts
from app.crisp.budget import QuotaPause
from app.crisp.errors import AuthRejected, Circular, Gone, NotSubscribed, Permanent, Transient
from app.errors import Conflict, DatabaseAway, NotFound, Refused
from app.sandbox.people_changes import change_person
from app.sync.execute import decisive, ending_of, execute
from app.sync.leases import Claim, LeaseLost, claim
from app.sync.pull import LAG_MS, Stopped
from app.sync.runs import ask, request_run, resume
from app.sync.schedule import queue_due_runs
from app.sync.tables import sync_runs
from app.websites.tables import websites
from tests.flows.steps import until
from tests.pulling import Crispsync, opened, sandbox_and_crispsync

NOW = clock.now()
WINDOW = {"window_from": NOW - timedelta(days=9), "window_to": NOW - timedelta(days=2)}


async def test_asking_again_attaches_to_the_same_run(database_url: str) -> None:  # SPEC S5
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        full = await _request(crisp, "full")
        assert await _request(crisp, "full") == full
        assert await _request(crisp, "incremental") != full
        backfill = await _request(crisp, "backfill", **WINDOW)
        assert await _request(crisp, "backfill", **WINDOW) == backfill
        other = {**WINDOW, "window_to": NOW - timedelta(days=1)}
        assert await _request(crisp, "backfill", **other) != backfill
        held = await claim(crisp.db, "test", 10, full)
        assert held is not None
        assert await _request(crisp, "full") == full, "also while somebody works on it"
        assert await execute(crisp.db, crisp.client, held) == "done"
        assert await _request(crisp, "full") != full, "what has ended is another matter"


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        ({}, "two dates"),
        ({"window_from": NOW}, "two dates"),
        ({"window_from": NOW, "window_to": NOW}, "earlier to a later"),
        ({"window_from": NOW, "window_to": NOW - timedelta(days=1)}, "earlier to a later"),
        (
            {"window_from": NOW + timedelta(days=1), "window_to": NOW + timedelta(days=2)},
            "lies in the future",
        ),
    ],
)
async def test_backfill_of_no_window_is_refused(
    sqlite_url: str, window: dict[str, Any], sentence: str
) -> None:  # SPEC S3
    async with sandbox_and_crispsync(sqlite_url, people=3, conversations=3) as crisp:
        with pytest.raises(Refused, match=sentence):
            await _request(crisp, "backfill", **window)


@pytest.mark.parametrize("status", ["waiting", "paused", "disconnected", "uninstalled"])
async def test_website_at_a_standstill_starts_nothing(database_url: str, status: str) -> None:
    """SPEC C4, C8, C9: each with its own sentence."""
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        await _set_website(crisp, status=status)
        with pytest.raises(Refused) as raised:
            await _request(crisp, "incremental" if status == "waiting" else "full")
        assert (
            "first import" in raised.value.message
            or "first." in raised.value.message
            or "crispsync connect" in raised.value.message
        )
        with pytest.raises(NotFound):
            await request_run(
                crisp.db, "8c842203-7ed8-4e29-a608-7cf78a7d2fcc", "full", started_by=""
            )


async def test_accepting_removals_is_not_lost_on_attaching(database_url: str) -> None:  # SPEC S9
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        full = await _request(crisp, "full")
        assert await _request(crisp, "full", accept_removals=True) == full
        held = await claim(crisp.db, "test", 10, full)
        assert held is not None
        assert held.checkpoint == {"accept_removals": True}
        assert await _request(crisp, "full", accept_removals=True) == full
        assert await execute(crisp.db, crisp.client, held) == "done"


async def test_accepting_removals_while_somebody_works_is_refused(database_url: str) -> None:
    """SPEC S9: it is said, not ignored; one whose worker is gone takes it."""
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        full = await _request(crisp, "full")
        held = await claim(crisp.db, "test", 10, full)
        assert held is not None
        with pytest.raises(Conflict, match="is at work"):
            await _request(crisp, "full", accept_removals=True)
        async with crisp.db.write() as connection:
            await connection.execute(update(sync_runs).values(lease_until_ms=0))
        assert await _request(crisp, "full", accept_removals=True) == full
        assert await execute(crisp.db, crisp.client, held) == "lost", "it slept too long"
        again = await claim(crisp.db, "test", 10, full)
        assert again is not None
        assert again.checkpoint["accept_removals"] is True


async def test_one_run_at_a_time_for_each_website(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        for kind in ("full", "incremental"):
            await _request(crisp, kind)
        first = await claim(crisp.db, "one", 10)
        assert first is not None
        assert first.kind == "full", "the oldest first"
        assert await claim(crisp.db, "two", 10) is None
        assert await execute(crisp.db, crisp.client, first) == "done"
        second = await claim(crisp.db, "two", 10)
        assert second is not None
        assert second.kind == "incremental"


async def test_queued_run_is_paused_resumed_and_cancelled_at_once(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        run_id = await _request(crisp, "full")
        await ask(crisp.db, crisp.website_id, run_id, "pause")
        assert (await crisp.last_run()).state == "paused"
        assert await claim(crisp.db, "test", 10) is None
        with pytest.raises(Conflict):
            await ask(crisp.db, crisp.website_id, run_id, "pause")
        await resume(crisp.db, crisp.website_id, run_id)
        with pytest.raises(Conflict, match="queued"):
            await resume(crisp.db, crisp.website_id, run_id)
        await ask(crisp.db, crisp.website_id, run_id, "cancel")
        assert (await crisp.last_run()).state == "cancelled"
        with pytest.raises(Conflict):
            await resume(crisp.db, crisp.website_id, run_id)
        for what in ("pause", "cancel"):
            with pytest.raises(Conflict):
                await ask(crisp.db, crisp.website_id, run_id, what)
        with pytest.raises(NotFound):
            await resume(crisp.db, crisp.website_id, "no such run")


@pytest.mark.parametrize("what", ["pause", "cancel"])
async def test_run_at_work_stops_when_asked(database_url: str, what: Any) -> None:  # SPEC S5
    """Within a page or a heartbeat; what was read is kept, and a paused run goes on from there."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=90) as crisp:
        crisp.world.delay_ms = 10
        held = await crisp.claim("full")
        working = asyncio.create_task(execute(crisp.db, crisp.client, held))
        await until(lambda: crisp.world.counters.total > 20)
        await ask(crisp.db, crisp.website_id, held.run_id, what)
        state = await working
        assert state == {"pause": "paused", "cancel": "cancelled"}[what]
        row = await crisp.last_run()
        assert (row.asked, row.error, row.resume_at) == (None, None, None)
        assert await claim(crisp.db, "test", 10) is None, "it waits for a person"
        if what == "cancel":
            return
        crisp.world.delay_ms = 0
        await resume(crisp.db, crisp.website_id, held.run_id)
        again = await claim(crisp.db, "test", 10)
        assert again is not None
        assert await execute(crisp.db, crisp.client, again) == "done"
        await crisp.assert_equals_truth()


async def test_counts_and_requests_are_told(database_url: str) -> None:  # SPEC S5
    async with sandbox_and_crispsync(database_url, people=60, conversations=70) as crisp:
        crisp.world.counters.reset()
        assert await crisp.run("full") == "done"
        row = await crisp.last_run()
        assert row.counts["people_done"] == row.counts["people_total"] == 60
        assert row.counts["conversations_total"] == 70
        assert row.counts["threads_done"] == row.counts["threads_total"] == 70
        messages = sum(crisp.world.main.message_count(i) for i in range(70))
        assert row.counts["messages_done"] == messages
        assert (row.counts["failed"], row.counts["suspects"]) == (0, 0)
        assert row.started_at <= row.finished_at
        assert abs(row.requests - crisp.world.counters.total) <= 8


async def test_incremental_runs_come_due(database_url: str) -> None:  # SPEC S2
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        assert await queue_due_runs(crisp.db, 15) == 0, "a website waits for its first import"
        assert await crisp.run("full") == "done"
        assert await queue_due_runs(crisp.db, 15) == 0, "it was read a moment ago"
        await _set_runs(crisp, created_at=clock.now() - timedelta(minutes=14))
        assert await queue_due_runs(crisp.db, 15) == 0
        await _set_runs(crisp, created_at=clock.now() - timedelta(minutes=16))
        assert await asyncio.gather(*(queue_due_runs(crisp.db, 15) for _ in range(4)))
        queued = await crisp.rows(sync_runs.select().where(sync_runs.c.state == "queued"))
        assert [(run.kind, run.started_by) for run in queued] == [("incremental", "schedule")]
        assert await queue_due_runs(crisp.db, 0) == 0, "one is waiting already"
        await _set_website(crisp, status="paused")
        await _set_runs(crisp, state="done", created_at=clock.now() - timedelta(days=1))
        assert await queue_due_runs(crisp.db, 15) == 0


async def test_quiet_incremental_costs_few_requests(database_url: str) -> None:  # SPEC S6
    """96 a day for each website, out of 5,000 for all."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=60) as crisp:
        assert await crisp.run("full") == "done"
        for _ in range(3):
            crisp.world.clock.advance(15 * 60_000)
            crisp.world.counters.reset()
            assert await crisp.run("incremental") == "done"
            assert crisp.world.counters.total <= 8


@pytest.mark.parametrize("kind", ["full", "incremental"])
async def test_first_window_of_a_process_ends_by_crisps_clock(sqlite_url: str, kind: Any) -> None:
    """This machine is ten minutes ahead, and no answer has told so yet. FAILURES case 52"""
    async with sandbox_and_crispsync(
        sqlite_url, people=5, conversations=5, start_ms=clock.now_ms() - 600_000
    ) as crisp:
        if kind == "incremental":
            assert await crisp.run("full") == "done"
        async with opened(crisp.world, crisp.url, sqlite_url) as fresh:
            crisp.world.counters.keep_log(100)
            held = await crisp.claim(kind)
            assert await execute(fresh.db, fresh.client, held) == "done"
        ends = {
            clock.to_ms(datetime.fromisoformat(one.params["filter_date_end"]))
            for one in crisp.world.counters.log
            if "filter_date_end" in one.params
        }
        assert ends
        assert max(ends) <= crisp.world.clock.now() - LAG_MS + 1000


async def test_changed_people_are_read_again_within_a_day(database_url: str) -> None:  # SPEC S2
    async with sandbox_and_crispsync(database_url, people=170, conversations=3) as crisp:
        assert await crisp.run("full") == "done"
        for p in range(170):
            change_person(crisp.world, crisp.world.main, p, person={"nickname": f"Changed {p}"})
        await _set_website(crisp, people_reread_at=clock.now() - timedelta(hours=25))
        for _ in range(4):  # four pages, one at each run
            crisp.world.clock.advance(15 * 60_000)
            assert await crisp.run("incremental") == "done"
        rows = await crisp.rows(contacts.select())
        assert {row.name for row in rows} == {f"Changed {p}" for p in range(170)}
        row = (await crisp.rows(websites.select()))[0]
        assert row.rolling_read is None
        assert clock.now() - row.people_reread_at < timedelta(minutes=1)


HELD = Claim("w", "r", "full", 1, 1, None, None, {"outages": 3}, {}, 10_000)


@pytest.mark.parametrize(
    ("cause", "state", "goes_on"),
    [
        (Stopped("pause"), "paused", False),
        (Stopped("cancel"), "cancelled", False),
        (QuotaPause("Used up.", NOW), "paused", True),
        (NotSubscribed("Not installed."), "cancelled", False),
        (AuthRejected("No scope.", status=403), "failed", False),
        (Transient("Away."), "paused", True),
        (Permanent("Refused."), "failed", False),
        (Gone("Gone."), "failed", False),
        (Circular("In circles."), "failed", False),
        (Refused("No."), "failed", False),
        (ValueError("a person's address"), "failed", False),
    ],
)
def test_fate_of_a_run(cause: Exception, state: str, goes_on: bool) -> None:  # SPEC S5
    ending = ending_of(cause, HELD)
    assert ending.state == state
    assert (ending.resume_at is not None) == goes_on
    assert ending.uninstalled == isinstance(cause, NotSubscribed)
    assert (ending.website_attention is not None) == isinstance(cause, AuthRejected)
    assert "address" not in (ending.error or ""), "values do not get into the error"


RANKED: list[list[Exception]] = [
    [LeaseLost(), DatabaseAway("Away.")],
    [ValueError(), KeyError()],
    [NotSubscribed("."), AuthRejected("."), Permanent("."), Refused(".")],
    [Transient("."), QuotaPause(".", NOW), Stopped("pause")],
]


@pytest.mark.parametrize(
    ("strong", "weak"),
    [(s, w) for n, rank in enumerate(RANKED) for s in rank for r in RANKED[n + 1 :] for w in r],
    ids=lambda error: type(error).__name__,
)
def test_of_several_errors_the_gravest_decides(strong: Exception, weak: Exception) -> None:
    for errors in ([strong, weak], [weak, strong]):
        assert decisive(ExceptionGroup("", errors)) is strong
        assert decisive(ExceptionGroup("", [ExceptionGroup("", errors)])) is strong


async def _request(crisp: Crispsync, kind: Any, **window: Any) -> str:
    return await request_run(crisp.db, crisp.website_id, kind, started_by="test", **window)


async def _set_website(crisp: Crispsync, **values: Any) -> None:
    async with crisp.db.write() as connection:
        await connection.execute(
            update(websites).where(websites.c.id == crisp.website_id).values(**values)
        )


async def _set_runs(crisp: Crispsync, **values: Any) -> None:
    async with crisp.db.write() as connection:
        await connection.execute(update(sync_runs).values(**values))
