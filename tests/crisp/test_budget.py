"""The day's requests: never more than allowed, reserves kept, shared fairly; and pauses for everybody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app import clock
from app.crisp import budget as budgets
from app.crisp import quota
from app.crisp.budget import LEAST_GRANT, Budget, Purpose, QuotaPause
from app.crisp.quota import RESERVES, Used, allowance
from app.crisp.tables import quota_pauses
from app.db.session import open_database

WEBSITES = ("w1", "w2", "w3", "w4")
PURPOSES: tuple[Purpose, ...] = ("interactive", "hooks", "sync")

asks = st.lists(
    st.tuples(st.sampled_from(WEBSITES), st.sampled_from(PURPOSES), st.integers(1, 60)),
    max_size=80,
)
limits = st.integers(1, 1000)


def grant(used: Used, website: str, purpose: str, wanted: int, limit: int, all_of: int) -> int:
    sharers = frozenset(WEBSITES[:all_of]) | {website}
    count = max(0, min(wanted, allowance(used, website, purpose, limit, sharers)))
    used[website, purpose] = used.get((website, purpose), 0) + count
    return count


@given(asks, limits, st.integers(1, 4))
@settings(max_examples=300)
def test_never_more_than_the_limit(
    wanted: list[tuple[str, Purpose, int]], limit: int, all_of: int
) -> None:  # SPEC S6
    used: Used = {}
    for website, purpose, count in wanted:
        grant(used, website, purpose, count, limit, all_of)
    assert sum(used.values()) <= limit


@given(asks, limits, st.integers(1, 4))
@settings(max_examples=300)
def test_syncs_and_hooks_leave_the_reserves(
    wanted: list[tuple[str, Purpose, int]], limit: int, all_of: int
) -> None:  # SPEC S6
    """However much syncs take, hooks get their reserve; however much both take, people get theirs."""
    used: Used = {}
    for website, purpose, count in wanted:
        if purpose != "interactive":
            grant(used, website, purpose, count, limit, all_of)
    by_hooks = sum(count for (_, purpose), count in used.items() if purpose == "hooks")
    for_people = allowance(used, "w1", "interactive", limit, frozenset(WEBSITES))
    assert for_people >= round(limit * RESERVES["interactive"])
    for_hooks = allowance(used, "w1", "hooks", limit, frozenset(WEBSITES))
    assert by_hooks + for_hooks >= round(limit * RESERVES["hooks"])


@given(asks, limits, st.integers(2, 4))
@settings(max_examples=300)
def test_each_website_gets_its_share(
    wanted: list[tuple[str, Purpose, int]], limit: int, all_of: int
) -> None:  # SPEC S6
    """Whoever asks first and most: what is left for another website is at least its equal share."""
    sharers = frozenset(WEBSITES[:all_of])
    used: Used = {}
    for website, _purpose, count in wanted:
        if website in sharers:
            grant(used, website, "sync", count, limit, all_of)
    pool = limit - sum(round(limit * share) for share in RESERVES.values())
    for website in sharers:
        got = used.get((website, "sync"), 0)
        assert got + allowance(used, website, "sync", limit, sharers) >= pool // all_of


def test_lone_website_gets_all_but_the_reserves() -> None:
    assert allowance({}, "w1", "sync", 5000, frozenset({"w1"})) == 4000
    assert allowance({("w9", "sync"): 1000}, "w1", "sync", 5000, frozenset({"w1"})) == 3000
    # What a reserve has given already need not be kept a second time.
    assert allowance({("w1", "hooks"): 750}, "w1", "sync", 5000, frozenset({"w1"})) == 4000


async def test_two_processes_share_one_limit(database_url: str) -> None:  # SPEC S6
    async with _budgets(database_url, 2, limit=200) as processes:
        got = await asyncio.gather(*(_spend(one, "w1", "sync", 200) for one in processes))
        assert sum(got) == 160
        assert await _spend(processes[0], "w1", "hooks", 100) == 30
        assert await _spend(processes[1], "w1", "interactive", 100) == 10
        assert await _booked(processes[0]) == 200


async def test_what_was_not_used_is_given_back(sqlite_url: str) -> None:
    async with _budgets(sqlite_url, 1, limit=1000) as (one,):
        await _spend(one, "w1", "sync", 3)
        await _spend(one, "w2", "hooks", 1)
        assert await _booked(one) == 2 * LEAST_GRANT
        await one.give_back()
        assert await _booked(one) == 4
        assert (one.spent["w1"], one.spent["w2"]) == (3, 1)


async def test_concurrent_callers_never_send_more_than_was_granted(database_url: str) -> None:
    async with _budgets(database_url, 1, limit=100) as (one,):
        sent = await asyncio.gather(*(_spend(one, "w1", "sync", 10) for _ in range(20)))
        assert sum(sent) == one.spent["w1"] == 80


async def test_used_up_day_is_over_at_midnight(
    sqlite_url: str,
) -> None:  # SPEC S6, FAILURES case 36
    async with _budgets(sqlite_url, 1, limit=10) as (one,):
        await _spend(one, "w1", "sync", 8)
        with pytest.raises(QuotaPause) as raised:
            async with one.turn("w1", "sync"):
                pass
        until = raised.value.until
        assert (until.hour, until.minute, until.second, until.microsecond) == (0, 0, 0, 0)
        assert timedelta(0) < until - clock.now() <= timedelta(days=1)
        assert "10 requests" in raised.value.message


async def test_other_process_learns_of_a_pause(database_url: str) -> None:  # FAILURES case 35
    async with _budgets(database_url, 2) as (one, other):
        await one.pause(3600, quota_used_up=False, reason="Crisp asks to slow down (429).")
        with pytest.raises(QuotaPause, match="slow down") as raised:
            async with other.turn("w2", "interactive"):
                pass
        assert timedelta(minutes=59) < raised.value.until - clock.now() <= timedelta(hours=1)


async def test_longer_of_two_pauses_counts(database_url: str) -> None:
    async with _budgets(database_url, 2) as (one, other):
        await one.pause(3600, quota_used_up=False, reason="long")
        await other.pause(1, quota_used_up=False, reason="short")
        with pytest.raises(QuotaPause) as raised:
            async with other.turn("w1", "sync"):
                pass
        assert raised.value.until - clock.now() > timedelta(minutes=59)


async def test_success_on_its_way_ends_no_pause(database_url: str) -> None:  # FAILURES case 35
    """An answer to a request that was sent before the pause says nothing about it."""
    async with _budgets(database_url, 2) as (one, other):
        await one.pause(3600, quota_used_up=False, reason="Crisp asks to slow down (429).")
        await one.went_well()
        for process in (one, other):
            with pytest.raises(QuotaPause):
                async with process.turn("w1", "sync"):
                    pass


async def test_probe_that_went_well_ends_no_pause_of_another_process(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "RATE_PAUSE", (0.002, 0.002))
    async with _budgets(database_url, 3) as (one, other, third):
        await one.pause(None, quota_used_up=False, reason="429")
        async with one.turn("w1", "sync"):
            await other.pause(3600, quota_used_up=False, reason="429")
            await one.went_well()
        with pytest.raises(QuotaPause):
            async with third.turn("w1", "sync"):
                pass


async def test_refusals_of_one_moment_count_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight requests under way when the limit is hit are one reason to wait, not eight."""
    monkeypatch.setattr(budgets, "RATE_PAUSE", (20.0, 600.0))
    async with _budgets(database_url, 2) as processes:
        await asyncio.gather(
            *(processes[n % 2].pause(None, quota_used_up=False, reason="429") for n in range(8))
        )
        until_ms, _reason, in_a_row = await _pause(processes[0])
        assert in_a_row == 1
        assert until_ms <= clock.now_ms() + 20_000


async def test_pauses_in_a_row_grow(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "QUOTA_PAUSE", (0.001, 0.02))
    async with _budgets(sqlite_url, 1) as (one,):
        for expected in range(1, 6):
            await one.pause(None, quota_used_up=True, reason="423")
            until_ms, _reason, in_a_row = await _pause(one)
            assert in_a_row == expected
            async with one.turn("w1", "sync"):
                assert clock.now_ms() >= until_ms
        await one.went_well()
        assert await _find_pause(one) is None


async def test_days_of_refusals_make_no_longer_pause_than_the_longest(sqlite_url: str) -> None:
    async with _budgets(sqlite_url, 2) as (one, other):
        await one.pause(1, quota_used_up=False, reason="429")
        async with one._db.write() as connection:
            await connection.execute(update(quota_pauses).values(in_a_row=2000, until_ms=1))
        with contextlib.suppress(QuotaPause):
            async with other.turn("w1", "sync"):
                await other.pause(None, quota_used_up=False, reason="429")
        until_ms, _reason, in_a_row = await _pause(one)
        assert in_a_row == 2001
        assert 0 < until_ms - clock.now_ms() <= 60_000


async def test_several_wait_together_and_one_goes_first(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # FAILURES case 35
    monkeypatch.setattr(budgets, "RATE_PAUSE", (0.05, 0.05))
    async with _budgets(sqlite_url, 1) as (one,):
        await one.pause(None, quota_used_up=False, reason="429")
        inside, most, first_alone = 0, 0, asyncio.Event()

        async def ask() -> None:
            nonlocal inside, most
            async with one.turn("w1", "sync"):
                inside += 1
                most = max(most, inside)
                if not first_alone.is_set():
                    for _ in range(50):  # everybody else has every chance to come in
                        await asyncio.sleep(0)
                    assert inside == 1
                    first_alone.set()
                await one.went_well()
                inside -= 1

        await asyncio.gather(*(ask() for _ in range(8)))
        assert first_alone.is_set()


@pytest.mark.parametrize("seconds", [0, 1, 59, 100_000])
async def test_retry_after_is_kept_to_within_reason(sqlite_url: str, seconds: float) -> None:
    """What Crisp asks for, at most a day; and 0 does not make us ask without end."""
    async with _budgets(sqlite_url, 1) as (one,):
        began_ms = clock.now_ms()
        await one.pause(seconds, quota_used_up=False, reason="429")
        until_ms, _reason, _in_a_row = await _pause(one)
        waits = (until_ms - began_ms) / 1000
        assert min(max(seconds, 0.4), 86_400) <= waits < min(max(seconds, 1.1), 86_400) + 5


@contextlib.asynccontextmanager
async def _budgets(url: str, count: int, limit: int = 5000) -> AsyncIterator[Sequence[Budget]]:
    """As many processes as asked for, each with its own connections to one database."""
    opened = [open_database(url) for _ in range(count)]
    try:
        yield [Budget(db, "identifier", limit) for db in opened]
    finally:
        for db in opened:
            await db.close()


async def _spend(one: Budget, website: str, purpose: Purpose, count: int) -> int:
    """Take up to so many turns; how many were given."""
    for done in range(count):
        try:
            async with one.turn(website, purpose):
                pass
        except QuotaPause:
            return done
    return count


async def _booked(one: Budget) -> int:
    async with one._db.read() as connection:
        day = clock.now().strftime("%Y-%m-%d")
        return (await quota.used_and_pause(connection, one.credential, day))[0]


async def _find_pause(one: Budget) -> tuple[int, str, int] | None:
    async with one._db.read() as connection:
        return await quota.find_pause(connection, one.credential)


async def _pause(one: Budget) -> tuple[int, str, int]:
    found = await _find_pause(one)
    assert found is not None, "nobody waits"
    return found
