"""Conversations of which a hook told less than the whole: when to ask Crisp for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import not_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations, messages
from app.db.refresh import mark_due
from app.records import conversation_id


async def look_at_conversations(
    connection: AsyncConnection, website_id: str, hints: Mapping[str, int], met: Collection[str]
) -> None:
    """By session id: `hints` tell the time of the news, epoch ms; of those `met`, only the ones never read."""
    await mark_due(connection, conversations, "session_id", website_id, hints, met)


async def look_at_incomplete(
    connection: AsyncConnection, website_id: str, edited: Sequence[tuple[str, int]]
) -> None:
    """Of the messages (session id, fingerprint) that were edited, those that are not stored themselves."""
    if not edited:
        return
    sessions = {conversation_id(website_id, session_id): session_id for session_id, _ in edited}
    keys = sorted({(conversation_id(website_id, s), f) for s, f in edited})
    rows = await connection.execute(
        select(messages.c.conversation_id)
        .where(
            messages.c.website_id == website_id,
            tuple_(messages.c.conversation_id, messages.c.fingerprint).in_(keys),
            not_(messages.c.complete),
            messages.c.deleted_at.is_(None),
        )
        .distinct()
    )
    hints = {sessions[row.conversation_id]: 0 for row in rows}
    await look_at_conversations(connection, website_id, hints, ())


async def find_incomplete(
    connection: AsyncConnection, website_id: str, own_id: str, limit: int
) -> list[int]:
    """Fingerprints of the conversation's messages of which only an edit is known."""
    rows = await connection.execute(
        select(messages.c.fingerprint)
        .where(
            messages.c.website_id == website_id,
            messages.c.conversation_id == own_id,
            not_(messages.c.complete),
            messages.c.deleted_at.is_(None),
        )
        .order_by(messages.c.fingerprint)
        .limit(limit)
    )
    return [row.fingerprint for row in rows]
