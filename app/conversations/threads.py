"""Writing messages, and how far reading a conversation's messages has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import now
from app.conversations.tables import conversations, messages
from app.db.upsert import Row, newest_by_key, update_rows, upsert
from app.records import MessageRecord, conversation_id

_KEY = ("website_id", "conversation_id", "fingerprint")
_TOLD = (
    "direction",
    "type",
    "body",
    "content",
    "sender_id",
    "sender_name",
    "automated",
    "origin",
    "sent_at",
    "raw",
    "version_ms",
    "observed_ms",
)
CHUNK = 500


async def write_messages(
    connection: AsyncConnection, website_id: str, records: Sequence[MessageRecord]
) -> set[str]:
    """Insert or update; ids of the conversations they belong to. A removed message stays removed."""
    if not records:
        return set()
    moment = now()
    rows = newest_by_key((_row(website_id, record, moment) for record in records), _KEY)
    await upsert(
        connection, messages, rows, key=_KEY, update=_TOLD, keep=("edited_at",), guard=True
    )
    touched = sorted({row["conversation_id"] for row in rows})
    for start in range(0, len(touched), CHUNK):
        await recount(connection, website_id, touched[start : start + CHUNK])
    return set(touched)


def _row(website_id: str, record: MessageRecord, moment: datetime) -> Row:
    return {
        "website_id": website_id,
        "conversation_id": conversation_id(website_id, record.session_id),
        "fingerprint": record.fingerprint,
        "direction": record.direction,
        "type": record.type,
        "body": record.body,
        "content": record.content,
        "sender_id": record.sender_id,
        "sender_name": record.sender_name,
        "automated": record.automated,
        "origin": record.origin,
        "sent_at": record.sent_at,
        "edited_at": moment if record.edited else None,
        "raw": record.raw,
        "version_ms": record.version.crisp_ms,
        "observed_ms": record.version.observed_ms,
    }


async def recount(connection: AsyncConnection, website_id: str, ids: Sequence[str]) -> None:
    """Bring each conversation's message count and last message time up to its rows."""
    mine: tuple[Any, ...] = (
        messages.c.website_id == conversations.c.website_id,
        messages.c.conversation_id == conversations.c.id,
        messages.c.deleted_at.is_(None),
    )
    await connection.execute(
        update(conversations)
        .where(conversations.c.website_id == website_id, conversations.c.id.in_(ids))
        .values(
            message_count=select(func.count())
            .select_from(messages)
            .where(*mine)
            .correlate(conversations)
            .scalar_subquery(),
            last_message_at=select(func.max(messages.c.sent_at))
            .where(*mine)
            .correlate(conversations)
            .scalar_subquery(),
        )
    )


@dataclass(frozen=True, slots=True)
class ThreadProgress:
    """How far a thread was read, and the state of the conversation that it was read for.

    `back_to_ms` is where to go on reading backwards; None when its start was reached.
    """

    session_id: str
    version_ms: int
    fingerprint: int | None
    back_to_ms: int | None


async def write_progress(
    connection: AsyncConnection, website_id: str, progress: Sequence[ThreadProgress]
) -> None:
    """A finished thread is no longer due, unless the conversation moved while it was read.

    Of several parts of one thread the last in `progress` counts.
    """
    last = {conversation_id(website_id, thread.session_id): thread for thread in progress}
    rows: list[Row] = [
        {
            "website_id": website_id,
            "id": own_id,
            "messages_version_ms": thread.version_ms,
            "messages_fingerprint": thread.fingerprint,
            "messages_back_to_ms": thread.back_to_ms,
            "messages_complete": thread.back_to_ms is None,
        }
        for own_id, thread in sorted(last.items())
    ]
    await update_rows(connection, conversations, rows, key=("website_id", "id"))
    ids = [row["id"] for row in rows]
    for start in range(0, len(ids), CHUNK):
        await connection.execute(
            update(conversations)
            .where(
                conversations.c.website_id == website_id,
                conversations.c.id.in_(ids[start : start + CHUNK]),
                conversations.c.messages_complete,
                conversations.c.version_ms == conversations.c.messages_version_ms,
            )
            .values(messages_due=False)
        )
