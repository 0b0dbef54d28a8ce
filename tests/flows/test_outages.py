"""Answers that are none, connections that break, pages that come empty: nothing is lost or believed gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.sandbox.churn import make_changes
from app.sandbox.message_changes import send_message
from app.sync.execute import execute
from app.sync.leases import claim
from app.sync.tables import sync_failures
from app.websites.tables import websites
from tests.flows.steps import (
    CONVERSATIONS,
    MESSAGES,
    PEOPLE,
    asked,
    asked_for,
    end_pause,
    retries_without_waiting,
    website_row,
)
from tests.pulling import Crispsync, sandbox_and_crispsync

MINUTE = 60_000
TROUBLES: dict[str, dict[str, Any]] = {
    "5xx": {"name": "status", "status": 503},
    "reset": {"name": "drop"},
    "half a body": {"name": "half_body"},
    "an error page": {"name": "html_200"},
    "an error with 200": {"name": "error_200"},
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_case_037_one_in_ten_answers_is_none(database_url: str, trouble: str) -> None:
    async with sandbox_and_crispsync(database_url, people=30, conversations=50) as crisp:
        crisp.world.faults.add(**TROUBLES[trouble], probability=0.1)
        with retries_without_waiting():
            assert await crisp.run("full") == "done"
        assert sum(fault.hits for fault in crisp.world.faults.faults) > 3
        await crisp.assert_equals_truth()


async def test_case_037_all_troubles_at_once_and_slowly(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=30, conversations=50) as crisp:
        for fault in TROUBLES.values():
            crisp.world.faults.add(**fault, probability=0.04)
        crisp.world.faults.add("slow", probability=0.1, delay_ms=30)
        crisp.world.faults.add("wrong_content_type", probability=0.2)
        with retries_without_waiting():
            assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_037_run_goes_on_after_an_outage(database_url: str) -> None:  # SPEC S5
    """Crisp away for longer than retries last: the run is parked and goes on where it stopped."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=80) as crisp:
        crisp.world.counters.keep_log(500)
        held = await crisp.claim("full")
        crisp.world.faults.add("drop", after=40)
        with retries_without_waiting():
            assert await execute(crisp.db, crisp.client, held) == "paused"
        parked = await crisp.last_run()
        assert "cannot be reached" in parked.error
        assert timedelta(0) < parked.resume_at - clock.now() <= timedelta(seconds=30)
        crisp.world.faults.clear()
        before = len(asked_for(crisp, CONVERSATIONS))
        await end_pause(crisp)
        again = await claim(crisp.db, "test", 10)
        assert again is not None
        assert again.run_id == held.run_id
        assert await execute(crisp.db, crisp.client, again) == "done"
        await crisp.assert_equals_truth()
        after = [page.args[1] for page in asked_for(crisp, CONVERSATIONS)[before:]]
        assert before > 0
        assert after[0] != "1", "the list is not begun anew"
        assert len(after) <= 3


@pytest.mark.parametrize("kind", ["full", "incremental"])
async def test_case_037_pauses_grow_while_crisp_stays_away(database_url: str, kind: str) -> None:
    async with sandbox_and_crispsync(database_url, people=20, conversations=20) as crisp:
        if kind == "incremental":
            assert await crisp.run("full") == "done"
        crisp.world.faults.add("status", status=500)
        held = await crisp.claim(kind)
        pauses = []
        for _ in range(7):
            with retries_without_waiting():
                assert await execute(crisp.db, crisp.client, held) == "paused"
            pauses.append((await crisp.last_run()).resume_at - clock.now())
            await end_pause(crisp)
            again = await claim(crisp.db, "test", 10)
            assert again is not None
            held = again
        seconds = [round(pause.total_seconds() / 30) * 30 for pause in pauses]
        assert seconds == [30, 60, 120, 240, 480, 900, 900]
        crisp.world.faults.clear()
        assert await execute(crisp.db, crisp.client, held) == "done"
        await crisp.assert_equals_truth()


async def test_case_037_list_that_grew_shorter_meanwhile_is_no_hole(database_url: str) -> None:
    """What changes while a run is parked leaves its frozen window, whose last pages are empty then. SPEC S3"""
    async with sandbox_and_crispsync(database_url, people=10, conversations=320) as crisp:
        crisp.world.faults.add("drop", route=CONVERSATIONS, match="/conversations/5?")
        with retries_without_waiting():
            assert await crisp.run("full") == "paused"
        crisp.world.faults.clear()
        crisp.world.clock.advance(MINUTE)
        for i in islice(crisp.world.main.by_update.numbers(), 200):
            send_message(crisp.world, crisp.world.main, i)
        await end_pause(crisp)
        again = await claim(crisp.db, "test", 10)
        assert again is not None
        assert await execute(crisp.db, crisp.client, again) == "done"
        await crisp.assert_equals_truth()


async def test_case_037_what_was_read_before_the_outage_is_kept(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=10, conversations=60) as crisp:
        crisp.world.faults.add("drop", route=MESSAGES, after=30)
        with retries_without_waiting():
            assert await crisp.run("full") == "paused"
        assert await _count(crisp, conversations) == 60
        crisp.world.faults.clear()
        crisp.world.counters.reset()
        await end_pause(crisp)
        again = await claim(crisp.db, "test", 10)
        assert again is not None
        assert await execute(crisp.db, crisp.client, again) == "done"
        await crisp.assert_equals_truth()
        threads = len(crisp.world.main.by_update_filled)
        batches_in_all = sum(
            -(-crisp.world.main.message_count(i) // 40) or 1
            for i in crisp.world.main.by_update.numbers()
        )
        assert threads < batches_in_all
        # What was under way, and the batches of one long thread that was not yet through.
        again_allowed = 8 + 8
        assert asked(crisp, MESSAGES) <= batches_in_all - 30 + again_allowed


async def test_case_038_page_that_comes_empty_once(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=160, conversations=160) as crisp:
        for route in (CONVERSATIONS, PEOPLE):
            for page in (1, 2, 3, 4):
                crisp.world.faults.add("empty_page", route=route, page=page, count=1)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        assert sum(fault.hits for fault in crisp.world.faults.faults) >= 6


async def test_case_038_first_import_with_a_page_that_stays_empty(database_url: str) -> None:
    """A page in the middle does not show its rows: the run says so, and they are read again until it does."""
    async with sandbox_and_crispsync(database_url, people=10, conversations=220) as crisp:
        crisp.world.faults.add("empty_page", route=CONVERSATIONS, page=3)
        assert await crisp.run("full") == "partial"
        assert "Page 3" in (await crisp.last_run()).error
        assert await _count(crisp, conversations) == 170
        assert await crisp.run("incremental") == "partial"
        hole_ms = (await website_row(crisp)).conversations_hole_ms
        crisp.world.counters.reset()
        assert await crisp.run("incremental") == "done"
        assert asked(crisp, CONVERSATIONS) < 5  # not at every run: once a day
        assert (await website_row(crisp)).conversations_hole_ms == hole_ms
        crisp.world.faults.clear()
        await crisp.db.transact(_let_a_day_pass)
        assert await crisp.run("incremental") == "done"
        assert (await website_row(crisp)).conversations_hole_ms is None
        await crisp.assert_equals_truth()


async def _let_a_day_pass(connection: AsyncConnection) -> None:
    await connection.execute(update(websites).values(rescanned_on="2000-01-01"))


async def test_case_038_hole_in_the_list_keeps_the_watermark(database_url: str) -> None:
    """What changed in Crisp and was not shown to a full run is met by the next incremental one."""
    async with sandbox_and_crispsync(database_url, people=10, conversations=220) as crisp:
        assert await crisp.run("full") == "done"
        before = (await website_row(crisp)).conversations_read_to_ms
        crisp.world.clock.advance(60 * MINUTE)
        make_changes(crisp.world, 80)
        crisp.world.clock.advance(60 * MINUTE)
        crisp.world.faults.add("empty_page", route=CONVERSATIONS, page=1)
        assert await crisp.run("full") == "partial"
        assert (await website_row(crisp)).conversations_read_to_ms == before
        crisp.world.faults.clear()
        assert await crisp.run("incremental") == "done"
        assert (await website_row(crisp)).conversations_read_to_ms > before


@pytest.mark.parametrize("from_page", [2, 4])
async def test_case_038_everything_behind_a_page_stays_empty(
    database_url: str, from_page: int
) -> None:
    """Crisp says 206 and shows nothing more: smaller windows reach all of it. SPEC S1"""
    async with sandbox_and_crispsync(database_url, people=10, conversations=220) as crisp:
        for page in range(from_page, 100):
            crisp.world.faults.add("empty_page", route=CONVERSATIONS, page=page)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_038_people_that_are_not_shown_make_the_run_suspect(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=160, conversations=10) as crisp:
        crisp.world.faults.add("empty_page", route=PEOPLE, page=2)
        assert await crisp.run("full") == "partial"
        assert "Crisp counts 160 people" in (await crisp.last_run()).error


@pytest.mark.parametrize("broken", [[CONVERSATIONS], [PEOPLE], [CONVERSATIONS, PEOPLE]])
async def test_case_038_empty_lists_delete_nothing(database_url: str, broken: list[str]) -> None:
    """Everything looks gone at once: nothing is believed, and the run says so. SPEC S9"""
    async with sandbox_and_crispsync(database_url, people=60, conversations=70) as crisp:
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(5 * MINUTE)
        for route in broken:
            crisp.world.faults.add("empty_page", route=route)
        assert await crisp.run("full") == "partial"
        assert (await crisp.last_run()).error
        await crisp.assert_equals_truth()
        crisp.world.faults.clear()
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_038_empty_threads(database_url: str) -> None:
    """A conversation that shows a last message has messages, whatever one answer says. SPEC D3"""
    async with sandbox_and_crispsync(database_url, people=5, conversations=30) as crisp:
        for i in (1, 2, 3, 4, 23):
            session = crisp.world.main.session_id(i)
            crisp.world.faults.add("empty_page", route=MESSAGES, match=session, count=2)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_038_batch_in_the_middle_stays_empty(database_url: str) -> None:
    """Messages: 200 is the end, 206 is more; an empty batch with 206 is no end. SPEC D3"""
    async with sandbox_and_crispsync(database_url, people=5, conversations=30) as crisp:
        long = crisp.world.main.session_id(23)
        crisp.world.faults.add("empty_page", route=MESSAGES, match=long, after=3)
        assert await crisp.run("full") == "partial"
        failures = await crisp.rows(select(sync_failures.c.kind, sync_failures.c.external_id))
        assert [tuple(row) for row in failures] == [("conversation", long)]
        crisp.world.faults.clear()
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_038_incremental_that_is_shown_nothing(database_url: str) -> None:
    """An empty answer once does not move the watermark past what it hid. SPEC S2"""
    async with sandbox_and_crispsync(database_url, people=10, conversations=40) as crisp:
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(20 * MINUTE)
        crisp.world.mix = {"message_new": 3, "conversation_new": 1}
        make_changes(crisp.world, 20, crisp.world.main)
        crisp.world.clock.advance(5 * MINUTE)
        await crisp.client.get("plugin/connect/account")
        crisp.world.faults.add("empty_page", route=CONVERSATIONS, count=1)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_037_slow_answers_do_not_lose_the_lease(database_url: str) -> None:  # SPEC S5
    """Each answer takes longer than the lease; the run stays ours, and nobody else can take it."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=3) as crisp:
        held = await crisp.claim("full")
        held.lease_ms = 2000
        crisp.world.faults.add("slow", delay_ms=3000, count=2)
        work = asyncio.create_task(execute(crisp.db, crisp.client, held))
        taken = 0
        while not work.done():
            taken += await claim(crisp.db, "thief", 10) is not None
            await asyncio.wait({work}, timeout=0.05)
        assert taken == 0
        assert work.result() == "done"
        await crisp.assert_equals_truth()


async def test_attention_is_no_matter_of_outages(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        crisp.world.faults.add("status", status=503)
        with retries_without_waiting():
            assert await crisp.run("full") == "paused"
        website = await website_row(crisp)
        assert (website.status, website.attention) == ("connected", None)
        assert await _count(crisp, contacts) == 0


async def _count(crisp: Crispsync, table: object) -> int:
    return int((await crisp.rows(select(func.count()).select_from(table)))[0][0])  # type: ignore[arg-type]
