"""Lists that change while they are read: whatever happens in between, the next run has everything."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import select

from app.clock import from_ms, to_ms
from app.conversations.tables import conversations
from app.sandbox.churn import make
from app.sandbox.conversation_changes import begin_conversation, set_field
from app.sandbox.message_changes import edit_message, send_message
from app.websites.tables import websites
from tests.flows.steps import CONVERSATIONS, MESSAGES, asked, before_answers
from tests.pulling import Crispsync, sandbox_and_crispsync

MINUTE = 60_000
HOUR = 60 * MINUTE
# What an incremental run can find by asking: no list tells of changed people, of what was removed,
# or of edits far back in a thread (crisp/REFERENCE.md section 4.6).
FINDABLE = {"message_new": 40, "conversation_new": 15, "state": 20}
PEOPLE_CHANGE = {"person_new": 6, "person_email": 3, "person_name": 5, "person_removed": 1}


# SPEC S1, S2
@pytest.mark.parametrize("seed", range(1, 4))
async def test_case_028_rows_shift_pages_during_a_scan(database_url: str, seed: int) -> None:
    async with sandbox_and_crispsync(
        database_url, people=20, conversations=160, seed=seed, mix=FINDABLE, changes_per_request=2
    ) as crisp:
        assert await crisp.run("full") == "done"
        made = crisp.world.change_count
        assert made > 300, "the lists hardly moved"
        crisp.world.changes_per_request = 0
        crisp.world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


# SPEC S1
@pytest.mark.parametrize("seed", [11, 12])
async def test_case_028_people_change_during_a_scan(database_url: str, seed: int) -> None:
    async with sandbox_and_crispsync(
        database_url,
        people=130,
        conversations=40,
        seed=seed,
        mix=PEOPLE_CHANGE,
        changes_per_request=1,
    ) as crisp:
        assert await crisp.run("full") == "done"
        crisp.world.changes_per_request = 0
        crisp.world.clock.advance(5 * MINUTE)
        assert await crisp.run("full", accept_removals=True) == "done"
        # A company that was left keeps the conversations of its time (SPEC M3), the truth knows only the new one.
        await crisp.assert_equals_truth(companies_too=False)


async def test_case_028_a_scan_that_never_rests(database_url: str) -> None:  # SPEC S2
    """Changes go on through three runs; only the last one is quiet."""
    async with sandbox_and_crispsync(
        database_url, people=10, conversations=120, mix=FINDABLE, changes_per_request=1
    ) as crisp:
        assert await crisp.run("full") == "done"
        for _ in range(2):
            crisp.world.clock.advance(5 * MINUTE)
            assert await crisp.run("incremental") == "done"
        crisp.world.changes_per_request = 0
        crisp.world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_043_ties_change_places_in_every_answer(database_url: str) -> None:  # SPEC S1
    async with sandbox_and_crispsync(database_url, people=120, conversations=20) as crisp:
        crisp.world.clock.freeze()
        for _ in range(110):  # all of one millisecond, over three pages
            begin_conversation(crisp.world, crisp.world.main)
        crisp.world.clock.advance(HOUR)
        crisp.world.faults.add("shuffled_ties")
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_044_update_during_an_incremental_scan(database_url: str) -> None:  # SPEC S2
    """A row that moves to page 1 behind the reader's back is met by the next run."""
    async with sandbox_and_crispsync(database_url, people=10, conversations=30) as crisp:
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(30 * MINUTE)
        world, site = crisp.world, crisp.world.main
        for _ in range(120):
            begin_conversation(world, site)
        crisp.world.clock.advance(20 * MINUTE)
        world.mix, world.changes_per_request = {"state": 1, "message_new": 1}, 3
        assert await crisp.run("incremental") == "done"
        world.changes_per_request = 0
        crisp.world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_044_next_run_begins_before_the_end_of_the_last(database_url: str) -> None:
    """The watermark is the frozen end of the window, never the newest row that was seen. SPEC S2"""
    async with sandbox_and_crispsync(database_url, people=5, conversations=10) as crisp:
        crisp.world.clock.freeze()
        began = crisp.world.clock.now()
        assert await crisp.run("full") == "done"
        read_to = await _read_to(crisp)
        assert began - 4 * MINUTE < read_to <= began - MINUTE
        crisp.world.clock.advance(30 * MINUTE)
        crisp.world.counters.keep_log(500)
        assert await crisp.run("incremental") == "done"
        starts = [
            one.params["filter_date_start"]
            for one in crisp.world.counters.log
            if one.route == CONVERSATIONS and "filter_date_end" in one.params
        ]
        assert starts
        assert all(_ms(start) <= read_to - 15 * MINUTE for start in starts)


async def test_case_045_rows_exactly_at_the_cursor(database_url: str) -> None:  # SPEC S2, S3
    async with sandbox_and_crispsync(database_url, people=5, conversations=0) as crisp:
        assert await crisp.run("full") == "done"
        world, site, read_to = crisp.world, crisp.world.main, await _read_to(crisp)
        for _ in range(10):
            i, _changes = begin_conversation(world, site)
            site.touch(i, read_to)
        edge_ms = read_to - 15 * MINUTE
        for _ in range(10):
            i, _changes = begin_conversation(world, site)
            site.touch(i, edge_ms)
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_045_window_ends_of_a_backfill(database_url: str) -> None:  # SPEC S3
    """From is inside the window, to is not: two backfills that meet share nothing and miss nothing."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=0) as crisp:
        world, site = crisp.world, crisp.world.main
        day = world.clock.now() // 86_400_000 * 86_400_000
        begin, end = day - 4 * 86_400_000, day - 2 * 86_400_000
        placed: dict[int, set[str]] = {begin - 1: set(), begin: set(), end - 1: set(), end: set()}
        for at_ms, sessions in placed.items():
            for _ in range(10):
                i, _changes = begin_conversation(world, site)
                site.touch(i, at_ms)
                sessions.add(site.session_id(i))
        window = {"window_from": from_ms(begin), "window_to": from_ms(end)}
        assert await crisp.run("backfill", **window) == "done"
        stored = {row.session_id for row in await crisp.rows(select(conversations.c.session_id))}
        assert stored == placed[begin] | placed[end - 1]


async def test_case_046_rows_are_listed_later_than_they_happened(database_url: str) -> None:
    """Ten minutes late is within the look-back of the next run. SPEC S2"""
    async with sandbox_and_crispsync(database_url, people=30, conversations=80) as crisp:
        world = crisp.world
        _change_conversations(crisp)
        world.faults.add("visibility_delay", route=CONVERSATIONS, seconds=600)
        assert await crisp.run("full") == "done"
        world.clock.advance(5 * MINUTE)
        _change_conversations(crisp)
        assert await crisp.run("incremental") == "done"
        assert await _missing(crisp), "nothing was late"
        world.clock.advance(11 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_046_rows_listed_hours_late_are_found_the_next_day(database_url: str) -> None:
    """Once a day the look-back is 48 hours. SPEC S2"""
    async with sandbox_and_crispsync(database_url, people=10, conversations=40) as crisp:
        world = crisp.world
        assert await crisp.run("full") == "done"
        fault = world.faults.add("visibility_delay", route=CONVERSATIONS, seconds=0)
        world.clock.advance(10 * MINUTE)
        _change_conversations(crisp)
        fault.seconds = 20 * 3600
        for _ in range(2):
            world.clock.advance(HOUR)
            assert await crisp.run("incremental") == "done"
        assert await _missing(crisp), "nothing was late"
        world.clock.advance(24 * HOUR)
        await crisp.client.get("plugin/connect/account")  # any answer tells what time it is there
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_047_message_that_moves_no_conversation(database_url: str) -> None:  # SPEC S1
    """The list shows a newer last message under the same update time: its thread is read again."""
    async with sandbox_and_crispsync(database_url, people=10, conversations=60) as crisp:
        assert await crisp.run("full") == "done"
        world, site = crisp.world, crisp.world.main
        for i in range(0, 60, 3):
            send_message(world, site, i, f"quietly {i}", bump=False)
        crisp.world.counters.reset()
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        assert asked(crisp, MESSAGES) == 20, "only the threads that grew are read"


async def test_case_047_messages_arrive_while_their_thread_is_read(database_url: str) -> None:
    """Each thread gets one more message for every batch of it that is asked for. SPEC S2"""
    async with sandbox_and_crispsync(database_url, people=10, conversations=40) as crisp:
        world, site = crisp.world, crisp.world.main
        watched = site.session_id(23)  # 300 messages, eight batches
        sent = 0

        def answer(target: str) -> None:
            nonlocal sent
            if watched in target and sent < 6:
                sent += 1
                send_message(world, site, 23, f"and another thing {sent}")

        with before_answers(world, MESSAGES, answer):
            assert await crisp.run("full") == "done"
        assert sent == 6
        world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_047_edit_while_the_thread_is_read(database_url: str) -> None:  # SPEC D4, S2
    async with sandbox_and_crispsync(database_url, people=10, conversations=40) as crisp:
        world, site = crisp.world, crisp.world.main
        assert await crisp.run("full") == "done"
        world.clock.advance(20 * MINUTE)
        for i in range(0, 40, 2):
            for row in site.rows(i)[-3:]:
                body = site.spell_out(i, [row])[0]
                if body["type"] == "text":
                    edit_message(world, site, i, body["fingerprint"], f"better {i}")
        world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


def _change_conversations(crisp: Crispsync) -> None:
    world, site = crisp.world, crisp.world.main
    for _ in range(12):
        begin_conversation(world, site)
    for i in range(10):
        set_field(world, site, i, "subject", f"changed {world.clock.now()}")
    for _ in range(10):
        make(world, site, "message_new")


async def _missing(crisp: Crispsync) -> set[str]:
    """Conversations that are not stored as they are now."""
    stored = {
        row.session_id: row.version_ms
        for row in await crisp.rows(select(conversations.c.session_id, conversations.c.version_ms))
    }
    site = crisp.world.main
    return {
        site.session_id(i)
        for i in site.by_update.numbers()
        if stored.get(site.session_id(i)) != site.updated_at(i)
    }


async def _read_to(crisp: Crispsync) -> int:
    rows = await crisp.rows(
        select(websites.c.conversations_read_to_ms).where(websites.c.id == crisp.website_id)
    )
    return int(rows[0][0])


def _ms(text: str) -> int:
    return to_ms(datetime.fromisoformat(text))
