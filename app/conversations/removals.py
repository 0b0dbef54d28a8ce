"""Conversations removed in Crisp become tombstones (SPEC D4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.conversations.merge import EMPTY, blank
from app.conversations.store import NEVER_READ, find_known
from app.conversations.tables import conversations, messages
from app.db.base import StoredRow
from app.db.changes import note_changes
from app.db.upsert import Row, update_rows, upsert
from app.records import conversation_id, is_removed

_KEY = ("website_id", "id")
CHUNK = 400


async def bury_conversations(
    connection: AsyncConnection, website_id: str, removed: Mapping[str, int]
) -> set[str]:
    """Session ids removed in Crisp, and when that was observed, epoch ms: tombstones, also for unknown
    ones, which a page fetched before would bring in otherwise. The ids of those that were live.
    """
    by_id = {conversation_id(website_id, s): (s, ms) for s, ms in removed.items()}
    known = await find_known(connection, website_id, list(by_id))
    fresh: list[Row] = []
    buried: list[Row] = []
    live: set[str] = set()
    for own_id, (session_id, observed_ms) in sorted(by_id.items()):
        row = known.get(own_id)
        if row is None:
            fresh.append({**_tombstone(website_id, own_id, session_id, observed_ms), **NEVER_READ})
        elif observed_ms > (row.removed_observed_ms or 0):
            gone = is_removed(observed_ms, row.direct_ms)
            buried.append(_buried(row, observed_ms, gone=gone))
            if gone and row.deleted_at is None:
                live.add(own_id)
    await upsert(connection, conversations, fresh, key=_KEY, update=())
    await update_rows(connection, conversations, buried, key=_KEY)
    return live


def _tombstone(website_id: str, own_id: str, session_id: str, observed_ms: int) -> Row:
    return {
        **blank(website_id, own_id, session_id),
        **EMPTY,
        "email_norm": None,
        "assigned_to": None,
        "metadata": {},
        "field_versions": {},
        "search": "",
        "removed_observed_ms": observed_ms,
        "deleted_at": from_ms(observed_ms),
        "messages_due": False,
    }


def _buried(row: StoredRow, observed_ms: int, *, gone: bool) -> Row:
    return {
        "website_id": row.website_id,
        "id": row.id,
        "removed_observed_ms": observed_ms,
        "deleted_at": from_ms(observed_ms) if gone else row.deleted_at,
        "messages_due": row.messages_due and not gone,
    }


async def delete_conversations(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> int:
    """Rows with all that hangs on them, not tombstones: of people who were erased. How many there were."""
    gone: list[str] = []
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        await _note_messages(connection, website_id, part)
        rows = await connection.execute(
            delete(conversations)
            .where(conversations.c.website_id == website_id, conversations.c.id.in_(part))
            .returning(conversations.c.id)
        )
        gone += rows.scalars()
    note_changes(connection, "conversation", website_id, gone)
    note_changes(connection, "link", website_id, gone)
    return len(gone)


async def _note_messages(connection: AsyncConnection, website_id: str, ids: Sequence[str]) -> None:
    rows = await connection.execute(
        select(messages.c.conversation_id, messages.c.fingerprint).where(
            messages.c.website_id == website_id, messages.c.conversation_id.in_(ids)
        )
    )
    note_changes(connection, "message", website_id, [tuple(row) for row in rows])
