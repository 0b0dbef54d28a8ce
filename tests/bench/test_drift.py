"""What is lost when rows change under the reader: two of them between any two requests.

Each seed is a website of its own. It changes during the whole first import; then the changes stop,
five minutes pass on Crisp's clock, and one incremental sync follows. After that everything stored is
compared with the truth. The same website is read by forward_cursor.py under the same rate of change.

lost     rows that exist in Crisp and not here
stale    conversations whose update here is older than Crisp's; messages whose text differs
unheard  edits of messages further back in a thread than its newest batch of 40: no list of Crisp's
         tells of them, only a hook does (and an audit finds them). A reader that fetches every thread
         whole at every change gets them too, and pays for it in requests: they are told, not judged
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from app.sandbox import truth
from app.sandbox.serve import serve
from app.sandbox.world import World
from tests.bench.databases import database
from tests.bench.figures import SEEDS, tell
from tests.bench.forward_cursor import ForwardCursor
from tests.pulling import sandbox_and_crispsync

PEOPLE, CONVERSATIONS, CHANGES_PER_REQUEST = 60, 400, 2
BATCH = 40
FIVE_MINUTES_MS = 5 * 60_000
MIX = {
    "message_new": 40.0,
    "conversation_new": 12.0,
    "message_edited": 8.0,
    "state": 14.0,
    "bound": 3.0,
}

Kept = Mapping[Any, Any]
"""Conversations by id to their update time, or messages by (conversation, fingerprint) to their text."""


async def test_nothing_is_lost_while_rows_change(tmp_path: Path) -> None:
    ours: Counter[str] = Counter()
    usual: Counter[str] = Counter()
    for seed in range(1, SEEDS + 1):
        ours += await _crispsync(seed, tmp_path)
        usual += await _forward_cursor(seed)
    tell(f"rows changing under a full sync, then one incremental; {SEEDS} seeds, in all")
    tell(f"  crispsync:      {_in_words(ours)}; target: nothing")
    tell(f"  forward cursor: {_in_words(usual)}")
    assert not _wrong(ours), ours


async def _crispsync(seed: int, folder: Path) -> Counter[str]:
    with database("sqlite", folder) as url:
        async with sandbox_and_crispsync(
            url, people=PEOPLE, conversations=CONVERSATIONS, seed=seed, mix=MIX
        ) as crisp:
            crisp.world.changes_per_request = CHANGES_PER_REQUEST
            states = [await crisp.run("full")]
            _calm_down(crisp.world)
            states.append(await crisp.run("incremental"))
            stored = await crisp._stored_conversations(companies_too=False)
            kept = {session_id: row["updated_ms"] for session_id, row in stored.items()}
            texts = {key: row["content"] for key, row in (await crisp._stored_messages()).items()}
            true = crisp._true_messages()
            found = _compare(
                crisp.world, kept, texts, {k: row["content"] for k, row in true.items()}
            )
    found["runs not done"] = sum(state != "done" for state in states)
    return found


async def _forward_cursor(seed: int) -> Counter[str]:
    async with _served(seed) as (world, client):
        reader = ForwardCursor(client, world.website_id)
        world.changes_per_request = CHANGES_PER_REQUEST
        await reader.run()
        _calm_down(world)
        await reader.run()
        kept = {session_id: row["updated_at"] for session_id, row in reader.conversations.items()}
        texts = {key: row["content"] for key, row in reader.messages.items()}
        rows = truth.messages(world, removed=False)
        true = {(row["session_id"], row["fingerprint"]): row["content"] for row in rows}
        return _compare(world, kept, texts, true)


@asynccontextmanager
async def _served(seed: int) -> AsyncIterator[tuple[World, httpx.AsyncClient]]:
    world = World(seed, PEOPLE, CONVERSATIONS, mix=MIX)
    async with (
        serve(world) as url,
        httpx.AsyncClient(
            base_url=url,
            auth=(world.identifier, world.key),
            headers={"X-Crisp-Tier": "plugin"},
            timeout=30,
        ) as client,
    ):
        yield world, client


def _calm_down(world: World) -> None:
    world.changes_per_request = 0
    world.clock.advance(FIVE_MINUTES_MS)


def _compare(world: World, kept: Kept, texts: Kept, true_texts: Kept) -> Counter[str]:
    found: Counter[str] = Counter(changes=world.change_count)
    for row in truth.conversations(world, removed=False):
        at = kept.get(row["session_id"])
        found["conversations"] += 1
        found["lost conversations"] += at is None
        found["stale conversations"] += at is not None and at < row["updated_at"]
    newest = _newest_batches(world)
    for key, wanted in true_texts.items():
        found["messages"] += 1
        found["lost messages"] += key not in texts
        if key in texts and texts[key] != wanted:
            found["stale messages" if key in newest else "unheard edits"] += 1
    return found


def _newest_batches(world: World) -> set[tuple[str, int]]:
    threads: dict[str, list[tuple[str, int]]] = {}
    for row in truth.messages(world, removed=False):  # oldest first in each
        session_id = row["session_id"]
        threads.setdefault(session_id, []).append((session_id, row["fingerprint"]))
    return {key for thread in threads.values() for key in thread[-BATCH:]}


WRONG = ("lost conversations", "stale conversations", "lost messages", "stale messages")


def _wrong(found: Counter[str]) -> int:
    return sum(found[name] for name in (*WRONG, "runs not done"))


def _in_words(found: Counter[str]) -> str:
    told = [f"{found[name]} {name}" for name in (*WRONG, "unheard edits")]
    if found["runs not done"]:
        told.append(f"{found['runs not done']} runs not done")
    return (
        f"{', '.join(told)} (of {found['conversations']:,} conversations and "
        f"{found['messages']:,} messages, {found['changes']:,} changes)"
    )
