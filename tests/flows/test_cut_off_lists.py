"""Cut off at every list page: who goes on asks again for the one page that was under way, for no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.conversation_changes import begin_conversation
from app.sandbox.people_changes import new_person
from app.sandbox.world import World
from app.sync.execute import execute
from app.sync.leases import claim
from app.sync.runs import request_run
from tests.bench.databases import database
from tests.flows.steps import CONVERSATIONS, PEOPLE, before_answers
from tests.pulling import Crispsync, sandbox_and_crispsync

SIZE: dict[str, Any] = {"people": 380, "conversations": 560}
FRESH = 120


def bring_news(world: World) -> None:
    """More than a page of each list that is too fresh for a frozen window."""
    for _ in range(FRESH):
        begin_conversation(world, world.main, content=None)
        new_person(world, world.main)


async def work_until_cut(crisp: Crispsync, run_id: str, route: str) -> str:
    """Until the second page of this list is asked for, which is never answered; the run's state."""
    held = await claim(crisp.db, "test", 10, run_id)
    assert held is not None, "a run that was let go can be taken at once"
    work = asyncio.create_task(execute(crisp.db, crisp.client, held))
    seen = 0

    def cut(_address: str) -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            work.cancel()

    with before_answers(crisp.world, route, cut), contextlib.suppress(asyncio.CancelledError):
        return await work
    return "cut off"


async def pages_of_a_calm_run(folder: Path) -> Counter[str]:
    with database("sqlite", folder) as url:
        async with sandbox_and_crispsync(url, **SIZE) as crisp:
            bring_news(crisp.world)
            crisp.world.counters.reset()
            assert await crisp.run("full") == "done"
            return Counter(crisp.world.counters.by_route)


@pytest.mark.parametrize("route", [CONVERSATIONS, PEOPLE])
async def test_case_032_cut_off_at_every_list_page(
    database_url: str, tmp_path: Path, route: str
) -> None:  # SPEC S5
    calm = await pages_of_a_calm_run(tmp_path)
    async with sandbox_and_crispsync(database_url, **SIZE) as crisp:
        bring_news(crisp.world)
        run_id = await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        crisp.world.counters.reset()
        lives = 1
        while await work_until_cut(crisp, run_id, route) != "done":
            lives += 1
            assert lives < 2 * calm[route], "it does not come forward"
        asked = crisp.world.counters.by_route
        assert lives > 10
        for each in (CONVERSATIONS, PEOPLE):
            assert asked[each] - calm[each] <= lives - 1, each
        await crisp.assert_equals_truth()
        counts = (await crisp.last_run()).counts
        assert counts["people_done"] == SIZE["people"] + FRESH
        assert counts["conversations_done"] == SIZE["conversations"] + FRESH
