"""A message removed in Crisp whose hook was lost: the next reading of its thread finds it (FAILURES case 48)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.conversations.tables import messages
from app.sandbox.conversation_changes import begin_conversation
from app.sandbox.message_changes import remove_message, send_message
from tests.flows.steps import MESSAGE
from tests.pulling import Crispsync, sandbox_and_crispsync
from tests.sync.test_refresh import imported

MINUTE = 60_000


def _fingerprints(crisp: Crispsync, i: int) -> list[int]:
    site = crisp.world.main
    return [row["fingerprint"] for row in site.spell_out(i, site.rows(i))]


def _counted(crisp: Crispsync) -> int:
    return int(crisp.world.counters.by_route[MESSAGE])


@pytest.mark.parametrize("which", [0, 1, -1, slice(None)], ids=["first", "second", "last", "all"])
async def test_case_048_a_lost_removal_is_found(database_url: str, which: int | slice) -> None:
    async with sandbox_and_crispsync(
        database_url, people=5, conversations=12, frozen=True, others=()
    ) as crisp:
        world = crisp.world
        i = next(n for n in range(12) if 3 <= len(_fingerprints(crisp, n)) <= 30)
        assert await crisp.run("full") == "done"
        world.clock.advance(5 * MINUTE)
        chosen = _fingerprints(crisp, i)[which]
        gone = chosen if isinstance(chosen, list) else [chosen]
        for fingerprint in gone:
            remove_message(world, world.main, i, fingerprint)
        send_message(world, world.main, i, "Still there?")
        world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()
        assert _counted(crisp) == len(gone)
        query = select(messages.c.fingerprint).where(messages.c.deleted_at.is_not(None))
        assert {row.fingerprint for row in await crisp.rows(query)} == set(gone)


async def test_case_038_a_batch_that_lacks_messages_removes_none(database_url: str) -> None:
    """What a failing answer left out is asked for one by one, and is there."""
    async with sandbox_and_crispsync(
        database_url, people=5, conversations=12, frozen=True, others=()
    ) as crisp:
        world = crisp.world
        i = next(n for n in range(12) if 3 <= len(_fingerprints(crisp, n)) <= 30)
        world.faults.add("stale", seconds=86_400, match=world.main.session_id(i))
        assert await crisp.run("full") == "done"
        world.clock.advance(5 * MINUTE)
        world.faults.clear()
        send_message(world, world.main, i, "One more")
        world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        world.clock.advance(5 * MINUTE)
        send_message(world, world.main, i, "And one more")
        world.faults.add("stale", seconds=86_400, match=world.main.session_id(i))
        await crisp.run("incremental")
        world.faults.clear()
        world.clock.advance(5 * MINUTE)
        await crisp.run("incremental")
        await crisp.assert_equals_truth()


async def test_what_is_settled_costs_nothing(database_url: str) -> None:
    async with sandbox_and_crispsync(
        database_url, people=5, conversations=12, frozen=True, others=()
    ) as crisp:
        world = crisp.world
        assert await crisp.run("full") == "done"
        for i in range(6):
            world.clock.advance(MINUTE)
            send_message(world, world.main, i, "Hello again")
        world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        assert _counted(crisp) == 0


@pytest.mark.parametrize("late_hook", [True, False], ids=["told after reading", "told before"])
async def test_case_048_a_message_that_came_and_went(database_url: str, late_hook: bool) -> None:
    """Sent and removed within moments of a reading; only the sending is told, before or after it."""
    async with imported(database_url) as told:
        world, crisp = told.world, told.crisp
        made = send_message(world, world.main, 2, "Never mind")
        if not late_hook:
            await told.apply()
        sending = told.hooks.take() if late_hook else []
        world.clock.advance(1_000)
        remove_message(world, world.main, 2, made.data["fingerprint"])
        told.hooks.take()  # lost
        world.clock.advance(20_000)
        assert await crisp.run("incremental") == "done"
        await told.apply_these(sending)
        world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_048_a_message_that_went_before_its_thread_was_read(database_url: str) -> None:
    """Only hooks told of the thread so far: its first reading tells which of their messages are gone."""
    async with imported(database_url) as told:
        world, crisp = told.world, told.crisp
        i, _ = begin_conversation(world, world.main, content="Hello")
        made = send_message(world, world.main, i, "Never mind")
        await told.apply()
        world.clock.advance(MINUTE)
        remove_message(world, world.main, i, made.data["fingerprint"])
        told.hooks.take()  # lost
        send_message(world, world.main, i, "Still there?")
        await told.apply()
        world.clock.advance(5 * MINUTE)
        # Listed, but not read yet: the list of the next run has nothing to say, one reading is all.
        world.faults.add("status", status=400, match=f"{world.main.session_id(i)}/messages")
        await crisp.run("incremental")
        world.faults.clear()
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()
