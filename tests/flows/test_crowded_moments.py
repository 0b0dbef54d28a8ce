"""Threads in which more messages share a millisecond than Crisp hands out at once."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from app.conversations.tables import conversations, messages
from app.sandbox.conversation_changes import begin_conversation
from app.sandbox.message_changes import send_message
from app.sync.tables import sync_failures
from tests.pulling import Crispsync, sandbox_and_crispsync

MINUTE = 60_000


def crowded_thread(crisp: Crispsync, older: int, crowd: int, newer: int) -> str:
    """A conversation whose messages are `older` ones, then `crowd` at once, then `newer` ones."""
    world, site = crisp.world, crisp.world.main
    i, _changes = begin_conversation(world, site, content=None)
    moment = world.clock.now() - 60 * MINUTE
    for n in range(-older, crowd + newer):
        at_ms = moment + 1000 * (n if n < 0 else max(0, n - crowd + 1))
        send_message(world, site, i, f"message {n}", at_ms=at_ms)
    world.clock.advance(60 * MINUTE)
    return site.session_id(i)


async def stored_messages(crisp: Crispsync, session_id: str) -> int:
    (row,) = await crisp.rows(
        select(func.count())
        .select_from(messages)
        .join(
            conversations,
            (conversations.c.website_id == messages.c.website_id)
            & (conversations.c.id == messages.c.conversation_id),
        )
        .where(conversations.c.session_id == session_id)
    )
    return int(row[0])


@pytest.mark.parametrize(("older", "newer"), [(0, 0), (90, 0), (0, 90), (90, 90), (25, 1)])
async def test_case_045_up_to_two_batches_of_one_moment_are_kept(
    sqlite_url: str, older: int, newer: int
) -> None:  # SPEC D3
    async with sandbox_and_crispsync(sqlite_url, people=3, conversations=3) as crisp:
        for crowd in (41, 62, 79):
            crowded_thread(crisp, older, crowd, newer)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


@pytest.mark.parametrize(("older", "newer"), [(0, 0), (90, 0), (0, 90), (90, 90), (25, 1)])
@pytest.mark.parametrize("crowd", [80, 81, 200])
async def test_case_045_more_than_crisp_shows_is_told(
    sqlite_url: str, crowd: int, older: int, newer: int
) -> None:  # SPEC D3
    """Two batches stay, and whether they are all cannot be seen: the run is partial and says why."""
    async with sandbox_and_crispsync(sqlite_url, people=3, conversations=3) as crisp:
        session_id = crowded_thread(crisp, older, crowd, newer)
        assert await crisp.run("full") == "partial"
        assert await stored_messages(crisp, session_id) == older + newer + 80
        (failed,) = await crisp.rows(select(sync_failures))
        assert (failed.kind, failed.external_id) == ("conversation", session_id)
        assert "More messages share the moment" in failed.reason


async def test_case_045_crowded_moment_on_both_databases(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        crowded_thread(crisp, 30, 62, 30)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        crowded_thread(crisp, 30, 81, 30)
        assert await crisp.run("incremental") == "partial"
