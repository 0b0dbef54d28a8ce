"""What was asked for and answered is kept when another part of the run ends it (SPEC S5, S6)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from app.crisp.tables import quota_pauses
from app.sync.execute import execute
from tests.flows.steps import (
    CONVERSATIONS,
    MESSAGES,
    PEOPLE,
    asked_for,
    end_pause,
    retries_without_waiting,
)
from tests.pulling import Crispsync, opened, sandbox_and_crispsync

CONCURRENCY = 8
TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "quota": ({"name": "status", "status": 423, "retry_after": 3600}, "paused"),
    "network": ({"name": "drop"}, "paused"),
    "credential": ({"name": "status", "status": 401}, "failed"),
}


def asked_twice(crisp: Crispsync) -> int:
    """First batches only: who goes on with a long thread looks at its newest messages again."""
    firsts = Counter(one.args for one in asked_for(crisp, MESSAGES) if not one.params)
    longer = {one.args for one in asked_for(crisp, MESSAGES) if one.params}
    return sum(count - 1 for args, count in firsts.items() if args not in longer)


@pytest.mark.parametrize("route", [PEOPLE, CONVERSATIONS])
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_case_036_messages_read_before_another_part_stopped_are_kept(
    database_url: str, route: str, trouble: str
) -> None:
    async with sandbox_and_crispsync(
        database_url, people=600, conversations=600, concurrency=CONCURRENCY
    ) as crisp:
        fault, state = TROUBLES[trouble]
        crisp.world.counters.keep_log(10_000)
        crisp.world.faults.add(**fault, route=route, after=9)
        with retries_without_waiting():
            assert await crisp.run("full") == state
        assert asked_for(crisp, MESSAGES), "something was read"
        crisp.world.faults.clear()
        if state == "paused":
            await end_pause(crisp)
            async with crisp.db.write() as connection:
                await connection.execute(update(quota_pauses).values(until_ms=1))
        held = await crisp.claim("full")
        async with opened(crisp.world, crisp.url, database_url) as later:
            assert await execute(later.db, later.client, held) == "done"
        assert asked_twice(crisp) == 0
        await crisp.assert_equals_truth()
