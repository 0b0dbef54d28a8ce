"""Lists that go only so deep: windows are cut until everything is within reach."""

from __future__ import annotations

import pytest

from app.sandbox.conversation_changes import begin_conversation
from app.sandbox.people_changes import new_person
from app.sync import windows
from tests.flows.steps import CONVERSATIONS, PEOPLE
from tests.pulling import sandbox_and_crispsync

MINUTE = 60_000


@pytest.mark.parametrize("fault", ["deep_refused", "deep_capped"])
@pytest.mark.parametrize("page", [1, 3])
async def test_case_042_deep_pages_are_refused_or_empty(
    database_url: str, fault: str, page: int
) -> None:  # SPEC S1, S3
    async with sandbox_and_crispsync(database_url, people=5, conversations=330) as crisp:
        crisp.world.faults.add(fault, route=CONVERSATIONS, page=page)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


@pytest.mark.parametrize("fault", ["deep_refused", "deep_capped"])
async def test_case_042_windows_stay_within_the_depth(
    database_url: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No window is read deeper than planned, also where many rows share a moment."""
    cut_at = windows.walk_windows.__defaults__
    assert cut_at == (windows.MAX_PAGES,)
    monkeypatch.setattr(windows.walk_windows, "__defaults__", (3,))
    async with sandbox_and_crispsync(database_url, people=5, conversations=250) as crisp:
        world, site = crisp.world, crisp.world.main
        world.clock.freeze()
        for _ in range(70):
            begin_conversation(world, site, content=None)
        world.clock.resume()
        world.clock.advance(60 * MINUTE)
        world.counters.keep_log(500)
        crisp.world.faults.add(fault, route=CONVERSATIONS, page=7)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


@pytest.mark.parametrize("fault", ["deep_refused", "deep_capped"])
async def test_case_042_fresh_news_deeper_than_shown(database_url: str, fault: str) -> None:
    """What happened since the frozen end is no reason to fail: the next run's windows have it."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=10) as crisp:
        world, site = crisp.world, crisp.world.main
        for _ in range(130):
            world.clock.advance(10)
            begin_conversation(world, site, content=None)
        world.faults.add(fault, route=CONVERSATIONS, page=1)
        assert await crisp.run("full") == "done"
        world.clock.advance(5 * MINUTE)
        await crisp.client.get("plugin/connect/account")
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


@pytest.mark.parametrize("fault", ["deep_refused", "deep_capped"])
async def test_case_042_people_behind_a_limit_on_pages(database_url: str, fault: str) -> None:
    async with sandbox_and_crispsync(database_url, people=330, conversations=5) as crisp:
        crisp.world.faults.add(fault, route=PEOPLE, page=2)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def test_case_042_new_people_behind_a_limit_on_pages(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        assert await crisp.run("full") == "done"
        for _ in range(170):
            crisp.world.clock.advance(10)
            new_person(crisp.world, crisp.world.main)
        crisp.world.clock.advance(5 * MINUTE)
        await crisp.client.get("plugin/connect/account")
        crisp.world.faults.add("deep_capped", route=PEOPLE, page=1)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_042_people_that_share_a_moment_beyond_reach(database_url: str) -> None:
    """More in one moment than Crisp shows: no window helps, and the run says so."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        crisp.world.clock.freeze()
        for _ in range(120):
            new_person(crisp.world, crisp.world.main)
        crisp.world.clock.resume()
        crisp.world.clock.advance(5 * MINUTE)
        crisp.world.faults.add("deep_capped", route=PEOPLE, page=1)
        assert await crisp.run("full") == "partial"
        assert "Crisp promised more people than it showed" in (await crisp.last_run()).error
