"""Throttled by Crisp, or through with the day's requests: everybody waits, and goes on by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import stamina
from sqlalchemy import delete, update

from app import clock
from app.crisp import budget as budgets
from app.crisp.budget import Budget, Purpose, QuotaPause
from app.crisp.client import Credential, CrispClient
from app.crisp.tables import quota_pauses, quota_usage
from app.sync.execute import execute
from app.sync.leases import claim
from tests.flows.steps import CONVERSATIONS, MESSAGES, asked, end_pause
from tests.pulling import opened, sandbox_and_crispsync

# Of 100 requests a day, after two for connecting.
RESERVED: tuple[tuple[Purpose, int], ...] = (("hooks", 15), ("interactive", 3))


@pytest.mark.parametrize("status", [420, 423, 429])
async def test_case_035_storm_of_refusals(
    database_url: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:  # SPEC S6
    """A third of all requests is refused: the run needs no try for it and is complete."""
    monkeypatch.setattr(budgets, "RATE_PAUSE", (0.002, 0.01))
    monkeypatch.setattr(budgets, "QUOTA_PAUSE", (0.002, 0.01))
    async with sandbox_and_crispsync(database_url, people=30, conversations=40) as crisp:
        crisp.world.faults.add("status", status=status, probability=0.3)
        with stamina.set_testing(True, attempts=1):
            assert await crisp.run("full") == "done"
        assert crisp.world.counters.by_status[status] > 10
        await crisp.assert_equals_truth()


async def test_case_035_run_goes_on_after_a_long_refusal(database_url: str) -> None:  # SPEC S5, S6
    """Ten minutes of 420: the run is parked until then, and nobody asks meanwhile."""
    async with sandbox_and_crispsync(database_url, people=30, conversations=80) as crisp:
        held = await crisp.claim("full")
        crisp.world.faults.add("status", status=420, retry_after=600, count=8, after=20)
        assert await execute(crisp.db, crisp.client, held) == "paused"
        parked = await crisp.last_run()
        assert "slow down" in parked.error
        in_ten_minutes = clock.now() + timedelta(minutes=10)
        assert abs(parked.resume_at - in_ten_minutes) < timedelta(seconds=20)
        sent = crisp.world.counters.total
        assert await claim(crisp.db, "test", 10) is None, "it is not due yet"
        async with opened(crisp.world, crisp.url, database_url) as other:
            with pytest.raises(QuotaPause):
                await other.client.get("plugin/connect/account")
        assert crisp.world.counters.total == sent
        crisp.world.faults.clear()
        await _let_ten_minutes_pass(crisp.client.budget)
        await end_pause(crisp)
        again = await claim(crisp.db, "test", 10)
        assert again is not None
        assert again.run_id == held.run_id
        async with opened(crisp.world, crisp.url, database_url) as other:
            assert await execute(other.db, other.client, again) == "done"
        await crisp.assert_equals_truth()


async def test_case_035_other_processes_stop_too(database_url: str) -> None:  # SPEC S6
    async with (
        sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp,
        opened(crisp.world, crisp.url, database_url) as other,
    ):
        crisp.world.faults.add("status", status=429, retry_after=3600, count=1)
        with pytest.raises(QuotaPause):
            await crisp.client.get("plugin/connect/account")
        sent = crisp.world.counters.total
        with pytest.raises(QuotaPause):
            await other.client.get("plugin/connect/account")
        assert crisp.world.counters.total == sent


async def test_case_036_day_s_quota_is_used_up(database_url: str) -> None:  # SPEC S5, S6
    """A first import that needs several days: each day a part, nothing twice, complete in the end."""
    async with sandbox_and_crispsync(
        database_url, people=30, conversations=90, daily_quota=60
    ) as crisp:
        held = await crisp.claim("full")
        days = 0
        while (state := await execute(crisp.db, crisp.client, held)) == "paused":
            parked = await crisp.last_run()
            assert "used up" in parked.error
            assert parked.resume_at == _next_midnight()
            days += 1
            assert days < 12, "it does not come forward"
            assert crisp.world.counters.total <= 60 * days + 5
            await _next_day(crisp.client.budget)
            await end_pause(crisp)
            again = await claim(crisp.db, "test", 10)
            assert again is not None
            held = again
        assert state == "done"
        assert days >= 2
        await crisp.assert_equals_truth()
        # 90 threads with their batches, a few pages, and what was in hand when a day ended.
        assert asked(crisp, MESSAGES) <= 90 + 20 + 8 * days
        assert asked(crisp, CONVERSATIONS) <= 12 + 4 * days


async def test_case_036_people_and_hooks_keep_their_reserve(database_url: str) -> None:  # SPEC S6
    async with sandbox_and_crispsync(
        database_url, people=30, conversations=120, daily_quota=100
    ) as crisp:
        await crisp.client.budget.give_back()
        assert crisp.world.counters.total == 2, "connecting is the work of a person"
        assert await crisp.run("full") == "paused"
        assert crisp.world.counters.total == 2 + 80
        for purpose, reserve in RESERVED:
            for _ in range(reserve):
                await crisp.client.get(
                    "plugin/connect/account", website_id=crisp.website_id, purpose=purpose
                )
            with pytest.raises(QuotaPause):
                await crisp.client.get(
                    "plugin/connect/account", website_id=crisp.website_id, purpose=purpose
                )
        assert crisp.world.counters.total == 100


async def test_case_036_crisp_counts_fewer_than_we_do(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # SPEC S6
    """Crisp's own quota ends first: 423, and nothing more is asked before the pause is over."""
    monkeypatch.setattr(budgets, "PATIENCE", 10.0)
    async with sandbox_and_crispsync(
        database_url, people=30, conversations=60, quota=40, connect=False
    ) as crisp:
        await crisp.connect()
        held = await crisp.claim("full")
        assert await execute(crisp.db, crisp.client, held) == "paused"
        parked = await crisp.last_run()
        assert "quota" in parked.error
        assert parked.resume_at - clock.now() > timedelta(seconds=40)
        refused = crisp.world.counters.by_status[423]
        assert refused <= 8, "only what was under way"
        crisp.world.quota.limit = None
        await _let_ten_minutes_pass(crisp.client.budget)
        await end_pause(crisp)
        again = await claim(crisp.db, "test", 10)
        assert again is not None
        async with opened(crisp.world, crisp.url, database_url) as later:
            assert await execute(later.db, later.client, again) == "done"
        await crisp.assert_equals_truth()


async def test_case_036_nobody_waits_in_place_for_tomorrow(database_url: str) -> None:
    """A used-up quota without Retry-After parks the run at once: no second round is asked for."""
    async with sandbox_and_crispsync(database_url, people=30, conversations=60) as crisp:
        crisp.world.faults.add("status", status=423, after=20)
        assert await crisp.run("full") == "paused"
        parked = await crisp.last_run()
        assert "quota" in parked.error
        assert timedelta(seconds=30) < parked.resume_at - clock.now() <= timedelta(seconds=60)
        assert 1 <= crisp.world.counters.by_status[423] <= 8, "only what was under way"


async def test_case_036_two_websites_share_the_day(database_url: str) -> None:  # SPEC S6
    async with sandbox_and_crispsync(
        database_url, people=10, conversations=200, others=((10, 200, True),)
    ) as crisp:
        second = next(one for one in crisp.world.sites if one != crisp.website_id)
        await crisp.connect(second)
        both = frozenset({crisp.website_id, second})
        budget = Budget(crisp.db, "another identifier", 200, lambda: both)
        credential = Credential(crisp.world.identifier, crisp.world.key)
        client = CrispClient(crisp.url, credential, budget)
        try:
            first_run = await crisp.claim("full")
            crisp.website_id = second
            second_run = await crisp.claim("full")
            states = await asyncio.gather(
                execute(crisp.db, client, first_run), execute(crisp.db, client, second_run)
            )
        finally:
            await client.close()
        assert list(states) == ["paused", "paused"]
        assert budget.spent == {first_run.website_id: 80, second: 80}


def _next_midnight() -> datetime:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return tomorrow.replace(hour=0, minute=0, second=0, microsecond=0)


async def _next_day(budget: Budget) -> None:
    """As if it were tomorrow: nothing of the day is used yet."""
    async with budget._db.write() as connection:
        await connection.execute(delete(quota_usage))


async def _let_ten_minutes_pass(budget: Budget) -> None:
    """As if the pause were over: its end moves into the past."""
    async with budget._db.write() as connection:
        await connection.execute(update(quota_pauses).values(until_ms=1))
