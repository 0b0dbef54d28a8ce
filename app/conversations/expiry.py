"""Text that was kept for long enough: the words of old messages go, who wrote when stays (SPEC P8).

Counts, figures and audits go on with what stays. What is gone is not written again, whoever tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, and_, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.conversations.tables import conversations, messages
from app.db.changes import note_changes
from app.db.upsert import Row, update_rows
from app.records import ConversationRecord

EVENT = "event"
"""Its words are Crisp's: which state, which operator. The figures are made from them."""
_c = conversations.c
_m = messages.c


def dropped(row: Row, texts_since: datetime | None) -> Row:
    """What a new row of `messages` has instead of its text; nothing when the text is kept."""
    sent_at = row["sent_at"]
    if texts_since is None or sent_at is None or sent_at >= texts_since or row["type"] == EVENT:
        return {}
    return {"body": "", "content": None, "raw": {}, "text_dropped_at": clock.now()}


def without_excerpt(record: ConversationRecord, texts_since: datetime | None) -> ConversationRecord:
    """Without the words of its last message, when nothing happened since."""
    if texts_since is None:
        return record
    moment = clock.from_ms(record.version.crisp_ms)
    if moment is None or moment >= texts_since:
        return record
    if "last_message" not in record.fields and "last_message" not in record.raw:
        return record
    raw = {name: value for name, value in record.raw.items() if name != "last_message"}
    return replace(record, fields={**record.fields, "last_message": None}, raw=raw)


async def find_old_threads(
    connection: AsyncConnection, website_id: str, before: datetime, after: str, limit: int
) -> list[str]:
    """Ids above `after` of conversations that may hold text from before then, in order."""
    began = or_(_c.crisp_created_at.is_(None), _c.crisp_created_at < before)
    rows = await connection.execute(
        select(_c.id)
        .where(_c.website_id == website_id, _c.id > after, began, _may_hold(before))
        .order_by(_c.id)
        .limit(limit)
    )
    return list(rows.scalars())


def _may_hold(before: datetime) -> ColumnElement[bool]:
    """Crisp moves a conversation's time with each message: what rested since the last look holds no other."""
    moved = or_(_c.crisp_updated_at.is_(None), _c.crisp_updated_at >= _c.texts_dropped_to)
    return or_(_c.texts_dropped_to.is_(None), and_(_c.texts_dropped_to < before, moved))


async def drop_texts(
    connection: AsyncConnection, website_id: str, ids: Sequence[str], before: datetime
) -> int:
    """Of what was sent before then in these conversations; how many messages lost their text."""
    rows = await connection.execute(
        update(messages)
        .where(
            _m.website_id == website_id,
            _m.conversation_id.in_(ids),
            _m.sent_at < before,
            _m.type != EVENT,
            _m.text_dropped_at.is_(None),
        )
        .values(body="", content=null(), raw={}, text_dropped_at=clock.now())
        .returning(_m.conversation_id, _m.fingerprint)
    )
    keys = sorted((row.conversation_id, row.fingerprint) for row in rows)
    note_changes(connection, "message", website_id, keys)
    await _drop_excerpts(connection, website_id, ids, before)
    await connection.execute(
        update(conversations)
        .where(_c.website_id == website_id, _c.id.in_(ids))
        .values(texts_dropped_to=before)
    )
    return len(keys)


async def _drop_excerpts(
    connection: AsyncConnection, website_id: str, ids: Sequence[str], before: datetime
) -> None:
    """A conversation carries the words of its last message."""
    found = await connection.execute(
        select(_c.id, _c.raw).where(
            _c.website_id == website_id,
            _c.id.in_(ids),
            _c.last_message.is_not(None),
            or_(_c.last_message_at < before, _c.crisp_updated_at < before),
        )
    )
    rows: list[Row] = [
        {
            "website_id": website_id,
            "id": row.id,
            "last_message": None,
            "raw": {name: value for name, value in row.raw.items() if name != "last_message"},
        }
        for row in found
    ]
    await update_rows(connection, conversations, rows, key=("website_id", "id"))
