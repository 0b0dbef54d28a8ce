"""What a scheduled pull finds and no hook told is counted, by website and day (SPEC S8)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.sandbox.conversation_changes import begin_conversation
from app.sandbox.message_changes import send_message
from app.sandbox.people_changes import new_person
from app.websites.tables import missed_hooks
from tests.sync.test_refresh import MINUTE, Told, imported


async def _missed(told: Told) -> dict[str, int]:
    rows = await told.crisp.rows(select(missed_hooks))
    assert all(row.website_id == told.crisp.website_id for row in rows)
    return {row.kind: row.missed for row in rows}


def _change(told: Told) -> None:
    world, site = told.world, told.world.main
    world.clock.advance(30 * MINUTE)
    send_message(world, site, 2, "Anybody there?")
    begin_conversation(world, site, content="First words")
    new_person(world, site)


@pytest.mark.parametrize("lost", [True, False])
async def test_only_what_no_hook_told_is_counted(database_url: str, lost: bool) -> None:
    async with imported(database_url) as told:
        _change(told)
        if lost:
            told.hooks.take()
        await told.apply()
        told.world.clock.advance(10 * MINUTE)
        assert await told.crisp.run("incremental") == "done"
        expected = {"message": 2, "conversation": 1, "contact": 1} if lost else {}
        assert await _missed(told) == expected
        assert await told.crisp.run("incremental") == "done"
        assert await _missed(told) == expected


async def test_what_may_still_be_on_its_way_is_not_counted(database_url: str) -> None:
    async with imported(database_url) as told:
        _change(told)
        told.world.clock.advance(MINUTE)
        assert await told.crisp.run("incremental") == "done"
        assert await _missed(told) == {}
        told.world.clock.advance(10 * MINUTE)
        await told.apply()
        assert await told.crisp.run("incremental") == "done"
        assert await _missed(told) == {}


async def test_a_full_run_counts_nothing(database_url: str) -> None:
    async with imported(database_url) as told:
        _change(told)
        told.world.clock.advance(10 * MINUTE)
        assert await told.crisp.run("full") == "done"
        assert await _missed(told) == {}
