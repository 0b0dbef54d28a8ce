"""The change feed under eight writers: 100,000 changes on PostgreSQL, none lost, none told twice, in order.

Eight writers commit on three websites, some of them late, some after a rollback, while a program reads
`GET /api/v1/changes` by its cursor all the while. What is lost, doubled or out of order is counted and
always enforced; changes a second are printed to give an idea. The suite takes a smaller one of the same
kind (tests/db/test_feed.py).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from app.db.session import open_database
from app.websites.connect import Installed, save_connected
from tests.api.conftest import small_app
from tests.bench.databases import database
from tests.bench.figures import tell
from tests.db.test_feed import WEBSITES, WRITERS, write

CHANGES, EACH = 100_000, 20


async def follow(client: httpx.AsyncClient, done: asyncio.Event) -> list[tuple[str, str]]:
    """What a program is told that reads until all is written, and then to the end."""
    told: list[tuple[str, str]] = []
    params = {"limit": "500"}
    while True:
        ended = done.is_set()
        answer = await client.get("/api/v1/changes", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        told += [(one["website_id"], one["id"]) for one in page["data"] if one["kind"] == "contact"]
        params["cursor"] = page["next_cursor"]
        if ended and not page["has_more"]:
            return told


@pytest.mark.asyncio
async def test_nothing_is_lost_or_doubled_in_100_000_changes(tmp_path: Path) -> None:
    with database("postgres", tmp_path) as url:
        db = open_database(url, pool_size=WRITERS + 2)
        for website_id in WEBSITES:
            await save_connected(db, Installed(website_id, website_id, None))
        transport = httpx.ASGITransport(small_app(db, per_minute=1_000_000))
        headers = {"Authorization": "Bearer viewer-all"}
        done, began = asyncio.Event(), time.monotonic()
        async with httpx.AsyncClient(
            transport=transport, base_url="http://crispsync.example", headers=headers, timeout=60
        ) as client:
            reading = asyncio.create_task(follow(client, done))
            async with asyncio.TaskGroup() as tasks:
                for writer in range(WRITERS):
                    tasks.create_task(write(db, writer, CHANGES // WRITERS // EACH, EACH))
            written = time.monotonic() - began
            done.set()
            told = await reading
        read = time.monotonic() - began
        await db.close()
    counted = Counter(told)
    tell(f"change feed: {CHANGES:,} changes by {WRITERS} writers on PostgreSQL, read meanwhile")
    tell(f"  lost {CHANGES - len(counted):,}, told twice {len(told) - len(counted):,}")
    tell(f"  written in {written:.0f} s ({CHANGES / written:,.0f} a second), read by {read:.0f} s")
    assert len(told) == len(counted) == CHANGES
    for writer in range(WRITERS):
        for website_id in WEBSITES:
            mine = [k for w, k in told if w == website_id and k.startswith(f"{writer:02}-")]
            assert mine == sorted(mine), "what one writer did first is told first"
