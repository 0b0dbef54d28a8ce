"""What is worked out of a thread before its messages are written is what the database says afterwards."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.ingest import Outcome, ingest, ingest_singly
from app.records import Batch, MessageRecord, ThreadProgress, conversation_id
from app.websites.rules import WebsiteRules, rules_of
from tests.ingesting import Site, connected, ms, said, talk

Writer = Callable[[AsyncConnection, WebsiteRules, Batch], Awaitable[Outcome]]
SESSIONS = ("s", "t")
READ_AT = 10.0
"""Minutes; the edits that hooks tell lie around it, some so near that they win against what was read."""


class _UndoneError(Exception):
    pass


def _told(dice: random.Random, session_id: str) -> list[MessageRecord]:
    """By hooks, before the thread is read or while it is; what is told so late is an edit."""
    told = []
    for fingerprint in range(1, 5):
        edited = dice.random() < 0.6
        seen = READ_AT + dice.choice((-5, -1, -0.4, 0, 0.3) if edited else (-5, -1, -0.4))
        if dice.random() < 0.5:
            told.append(said(session_id, fingerprint, dice.choice("abc"), seen=seen, edited=edited))
    return told


def _read(dice: random.Random, session_id: str, moved_at: float) -> Batch:
    asked = READ_AT + dice.choice((-0.2, 0, 0.2))
    shown = [
        said(session_id, n, dice.choice("abc"), seen=asked, edited=dice.random() < 0.3)
        for n in range(1, 6)
        if dice.random() < 0.6
    ]
    whole = dice.random() < 0.5
    progress = ThreadProgress(
        session_id,
        ms(moved_at),
        None,
        None,
        asked_ms=ms(asked),
        shown=len(shown) if whole else None,
    )
    return Batch("", messages=shown, threads=[progress])


async def _written(site: Site, batch: Batch, writer: Writer) -> tuple[set[str], list[Any]]:
    """What is to be read again later, and the rows as they are then; nothing of it stays."""
    found: tuple[set[str], list[Any]] = set(), []

    async def work(connection: AsyncConnection) -> None:
        nonlocal found
        outcome = await writer(connection, await rules_of(connection, site.id), batch)
        assert outcome.rejected == []
        c = conversations.c
        rows = await connection.execute(
            select(*(getattr(c, name) for name in _PROGRESS)).order_by(c.id)
        )
        found = outcome.unsettled, [tuple(row) for row in rows]
        raise _UndoneError

    with pytest.raises(_UndoneError):
        await site.db.transact(work)
    return found


_PROGRESS = (
    "id",
    "message_count",
    "last_message_at",
    "messages_due",
    "messages_complete",
    "messages_version_ms",
)


@pytest.mark.parametrize("seed", range(40))
async def test_together_as_one_by_one(database_url: str, seed: int) -> None:
    dice = random.Random(seed)
    async with connected(database_url) as site:
        for _ in range(6):
            moved_at = READ_AT + dice.choice((-30, -0.5))
            await site.take(*(talk(session_id, at=moved_at) for session_id in SESSIONS))
            for session_id in SESSIONS:
                await site.take(*_told(dice, session_id))
            parts = [_read(dice, session_id, moved_at) for session_id in SESSIONS]
            batch = Batch(
                site.id,
                messages=[m for part in parts for m in part.messages],
                threads=[t for part in parts for t in part.threads],
            )
            assert await _written(site, batch, ingest) == await _written(site, batch, ingest_singly)


async def test_what_one_read_brings_and_hooks_told_is_more_than_was_shown(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", at=1), said("s", 1), said("s", 2))
        own_id = conversation_id(site.id, "s")

        async def read(shown: int, *messages: MessageRecord) -> Any:
            progress = ThreadProgress("s", ms(1), None, None, asked_ms=ms(9), shown=shown)
            batch = Batch(site.id, messages=list(messages), threads=[progress])
            _, ((found, count, _, due, complete, _),) = await _written(site, batch, ingest)
            assert found == own_id
            return count, bool(due), bool(complete)

        assert await read(3, said("s", 1), said("s", 2), said("s", 3)) == (3, False, True)
        assert await read(2, said("s", 1), said("s", 3)) == (3, True, False)
