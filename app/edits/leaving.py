"""Conversations that a person leaves without a contact: nobody is asked about them until their reason changes (SPEC V5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor
from app.conversations.tables import conversations
from app.db.base import StoredRow
from app.db.upsert import Row, upsert
from app.edits.wishes import chunks
from app.matching.tables import left_alone

_KEY = ("website_id", "conversation_id")
_VALUES = ("reason", "left_by", "left_at")
_l = left_alone.c


async def leave_alone(
    connection: AsyncConnection, website_id: str, ids: Sequence[str], actor: Actor
) -> dict[str, tuple[Row | None, Row]]:
    """By conversation what stood before (it had been left for another reason) and what stands now."""
    before = await _found(connection, website_id, ids)
    moment, rows = clock.now(), []
    c = conversations.c
    for chunk in chunks(ids):
        found = await connection.execute(
            select(c.id, c.unmatched_reason).where(c.website_id == website_id, c.id.in_(chunk))
        )
        rows += [
            {"website_id": website_id, "conversation_id": row.id, "reason": row.unmatched_reason,
             "left_by": actor.name, "left_at": moment}
            for row in found
        ]  # fmt: skip
    rows.sort(key=lambda row: str(row["conversation_id"]))
    await upsert(connection, left_alone, rows, key=_KEY, update=_VALUES)
    return {
        row["conversation_id"]: (
            _told(before[row["conversation_id"]]) if row["conversation_id"] in before else None,
            _told(row),
        )
        for row in rows
    }


async def ask_again(connection: AsyncConnection, website_id: str, rows: Sequence[StoredRow]) -> int:
    """What `leave_alone` told, taken back; how many stay because somebody left them anew since."""
    now = await _found(connection, website_id, [row.key for row in rows])
    ours = [row for row in rows if row.key in now and _is_same(now[row.key], row.after)]
    for chunk in chunks(row.key for row in ours if row.before is None):
        await connection.execute(
            delete(left_alone).where(_l.website_id == website_id, _l.conversation_id.in_(chunk))
        )
    back = [
        {
            "website_id": website_id,
            "conversation_id": row.key,
            **row.before,
            "left_at": datetime.fromisoformat(row.before["left_at"]),
        }
        for row in ours
        if row.before is not None
    ]
    await upsert(connection, left_alone, back, key=_KEY, update=_VALUES)
    return len(now) - len(ours)


async def _found(
    connection: AsyncConnection, website_id: str, ids: Iterable[str]
) -> dict[str, StoredRow]:
    found: dict[str, StoredRow] = {}
    for chunk in chunks(ids):
        rows = await connection.execute(
            select(left_alone).where(_l.website_id == website_id, _l.conversation_id.in_(chunk))
        )
        found |= {row.conversation_id: row for row in rows}
    return found


def _told(row: Any) -> Row:
    """As JSON; of a stored row or of one that is to be stored."""
    given = row if isinstance(row, dict) else row._asdict()
    told = {name: given[name] for name in ("reason", "left_by")}
    return told | {"left_at": given["left_at"].isoformat()}


def _is_same(row: StoredRow, told: Row) -> bool:
    """To the millisecond: SQLite keeps no more of a time."""
    at = datetime.fromisoformat(told["left_at"])
    same = (row.reason, row.left_by) == (told["reason"], told["left_by"])
    return same and clock.to_ms(row.left_at) == clock.to_ms(at)
