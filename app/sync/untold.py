"""What an incremental run finds that should have been told by a hook long before.

What is younger than the lag of a run's window may still be on its way, and is not counted.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.records import Batch, Version, conversation_id
from app.websites.missed import count_missed

CHUNK = 500


async def count_untold(
    connection: AsyncConnection, since: datetime, lag_ms: int, batch: Batch
) -> None:
    """Before `batch` is written: count what began after `since` and is not stored."""
    website_id = batch.website_id

    def is_due(began_at: datetime | None, version: Version) -> bool:
        latest = from_ms(version.observed_ms - lag_ms)
        return began_at is not None and latest is not None and since <= began_at <= latest

    said = {
        (conversation_id(website_id, m.session_id), m.fingerprint)
        for m in batch.messages
        if is_due(m.sent_at, m.version)
    }
    begun = {
        c.session_id
        for c in batch.conversations
        if is_due(c.fields.get("crisp_created_at"), c.version)
    }
    met = {
        c.people_id
        for c in batch.contacts
        if is_due(from_ms(c.fields.get("created_at")), c.version)
    }
    key = tuple_(messages.c.conversation_id, messages.c.fingerprint)
    unknown = await _count_unknown(connection, website_id, messages, key, said)
    await count_missed(connection, website_id, "message", unknown)
    session = conversations.c.session_id
    unknown = await _count_unknown(connection, website_id, conversations, session, begun)
    await count_missed(connection, website_id, "conversation", unknown)
    person = contacts.c.crisp_people_id
    unknown = await _count_unknown(connection, website_id, contacts, person, met)
    await count_missed(connection, website_id, "contact", unknown)


async def _count_unknown(
    connection: AsyncConnection, website_id: str, table: Table, key: Any, wanted: Collection[Any]
) -> int:
    stored = 0
    ordered = sorted(wanted)
    for start in range(0, len(ordered), CHUNK):
        rows = await connection.execute(
            select(table.c.website_id).where(
                table.c.website_id == website_id, key.in_(ordered[start : start + CHUNK])
            )
        )
        stored += len(rows.all())
    return len(ordered) - stored
