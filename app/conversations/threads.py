"""Writing messages, and noting which of them changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import Update, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.conversations.begun import (
    COUNTED,
    Begun,
    MessageKey,
    asking_shown,
    by_key,
    find_begun,
    ids_of,
    with_shown,
)
from app.conversations.expiry import dropped
from app.conversations.progress import Counted, write_progress
from app.conversations.tables import conversations, messages
from app.db.base import StoredRow
from app.db.changes import note_changes
from app.db.in_turn import Later, Query, execute_later
from app.db.one_of import is_one_of
from app.db.upsert import Merge, Row, newest_by_key, upsert
from app.records import EditRecord, MessageRecord, ThreadProgress, conversation_id

_KEY = ("website_id", "conversation_id", "fingerprint")
_IDENTITY = (
    "direction",
    "type",
    "sender_id",
    "sender_name",
    "automated",
    "origin",
    "sent_at",
    "raw",
    "complete",
)
_CONTENT = ("body", "content", "version_ms", "observed_ms")
_WHOLE = Merge(update=_IDENTITY, newer=_CONTENT, earliest=("edited_at",), unless="complete")
_EDIT = Merge(newer=_CONTENT, earliest=("edited_at",))
# Whatever stands there, also an edit that came before its message.
_EMPTIED = Merge(update=(*_IDENTITY, *_CONTENT, "text_dropped_at"))
_REMOVAL = Merge(latest=("deleted_at", "removed_observed_ms"))
CHUNK = 500


class Written(NamedTuple):
    """Ids of conversations: those that the messages belong to, and those to be read again later."""

    touched: set[str]
    unsettled: set[str]


async def write_messages(
    connection: AsyncConnection,
    website_id: str,
    records: Sequence[MessageRecord],
    begun: Begun,
    texts_since: datetime | None = None,
    read: Sequence[ThreadProgress] = (),
) -> Written:
    """Insert or update, and remember how far threads were `read`. A removed message stays removed.

    `begun`: what is stored of them, their conversations and those threads.

    What was sent before `texts_since` comes in without its text (SPEC P8).

    Who sent a message never changes, so it also completes a row of which only a newer edit is
    known; the content goes in only when it is newer (FAILURES case 3).
    """
    rows = newest_by_key((_row(website_id, record) for record in records), _KEY)
    if texts_since is not None:
        rows = [{**row, **dropped(row, texts_since)} for row in rows]
    await _save(connection, website_id, rows, _WHOLE, begun.shown)
    touched = {row["conversation_id"] for row in rows}
    of_read = set(ids_of(website_id, read))
    await _recount(connection, website_id, touched - (of_read - begun.ids))
    written = _count(rows, of_read, begun.shown)
    return Written(touched, await write_progress(connection, website_id, read, begun, written))


async def write_edits(
    connection: AsyncConnection, website_id: str, edits: Sequence[EditRecord]
) -> set[str]:
    """New content; of a message that is not stored, what is told of it is kept until it comes."""
    if not edits:
        return set()
    rows = newest_by_key((_edited(website_id, edit) for edit in edits), _KEY)
    return await _written(connection, website_id, rows, _EDIT)


@dataclass(frozen=True, slots=True)
class MessageRemoval:
    """A message that was removed in Crisp, and when, epoch ms of Crisp's clock."""

    session_id: str
    fingerprint: int
    removed_ms: int


async def bury_messages(
    connection: AsyncConnection, website_id: str, removals: Sequence[MessageRemoval]
) -> set[str]:
    """Leave marks (SPEC D4); of a message that is not stored too, so that it does not come late."""
    if not removals:
        return set()
    latest: dict[tuple[str, int], Row] = {}
    for removal in sorted(removals, key=lambda r: r.removed_ms):
        row = _unknown(website_id, removal.session_id, removal.fingerprint)
        row["deleted_at"] = from_ms(removal.removed_ms)
        row["removed_observed_ms"] = removal.removed_ms
        latest[row["conversation_id"], row["fingerprint"]] = row
    rows = [latest[key] for key in sorted(latest)]
    return await _written(connection, website_id, rows, _REMOVAL)


def _row(website_id: str, record: MessageRecord) -> Row:
    as_of_ms, observed_ms = record.version.message_rank
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
        "edited_at": from_ms(observed_ms) if record.edited else None,
        "raw": record.raw,
        "text_dropped_at": None,
        "version_ms": as_of_ms,
        "observed_ms": observed_ms,
        "complete": True,
    }


def _unknown(website_id: str, session_id: str, fingerprint: int) -> Row:
    """A message of which nothing is known yet: internal, so that it counts as nobody's answer."""
    return {
        "website_id": website_id,
        "conversation_id": conversation_id(website_id, session_id),
        "fingerprint": fingerprint,
        "direction": "internal",
        "type": "unknown",
        "body": "",
        "content": None,
        "automated": False,
        "raw": {},
        "version_ms": 0,
        "observed_ms": 0,
        "complete": False,
    }


def _edited(website_id: str, edit: EditRecord) -> Row:
    as_of_ms, observed_ms = edit.version.message_rank
    return _unknown(website_id, edit.session_id, edit.fingerprint) | {
        "body": edit.body,
        "content": edit.content,
        "edited_at": from_ms(observed_ms),
        "version_ms": as_of_ms,
        "observed_ms": observed_ms,
    }


async def _written(
    connection: AsyncConnection, website_id: str, rows: Sequence[Row], merge: Merge
) -> set[str]:
    touched = {row["conversation_id"] for row in rows}
    begun = await find_begun(connection, website_id, sorted(touched))
    begun = await with_shown(connection, website_id, begun, map(_key_of, rows))
    await _save(connection, website_id, rows, merge, begun.shown)
    await _recount(connection, website_id, touched)
    return touched


async def _save(
    connection: AsyncConnection,
    website_id: str,
    rows: Sequence[Row],
    merge: Merge,
    before: Mapping[MessageKey, StoredRow],
) -> None:
    """Upsert, and note what changed to the eye: most of what is read again says nothing new."""
    keys = [_key_of(row) for row in rows]
    if merge is not _REMOVAL:
        gone = {key for key, row in before.items() if row.text_dropped_at is not None}
        rows = [row for row, key in zip(rows, keys, strict=True) if key not in gone]
    emptied = [row for row in rows if row.get("text_dropped_at") is not None]
    whole = [row for row in rows if row.get("text_dropped_at") is None]
    await upsert(connection, messages, whole, key=_KEY, merge=merge, quiet=True)
    await upsert(connection, messages, emptied, key=_KEY, merge=_EMPTIED, quiet=True)
    new = [key for key in keys if key not in before]
    note_changes(connection, "message", website_id, new)
    note_changes(connection, "conversation", website_id, sorted({key[0] for key in new}))
    if not before:
        return

    def note_changed(rows: Sequence[StoredRow]) -> None:
        after = by_key(rows)
        changed = [key for key in before if before[key] != after[key]]
        counts = len(_KEY) - 1 + len(COUNTED)
        moved = {key[0] for key in changed if before[key][:counts] != after[key][:counts]}
        note_changes(connection, "message", website_id, changed)
        note_changes(connection, "conversation", website_id, sorted(moved))

    asked = asking_shown(connection, website_id, list(before))
    await execute_later(connection, Later(asked, note_changed))


def _key_of(row: Row) -> MessageKey:
    return row["conversation_id"], row["fingerprint"]


def _count(
    rows: Sequence[Row], ids: Set[str], before: Mapping[MessageKey, StoredRow]
) -> dict[str, Counted]:
    """What the rows of these conversations come to; none of them is a mark of what was removed."""
    threads: dict[str, list[Row]] = {own_id: [] for own_id in ids}
    for row in rows:
        if row["conversation_id"] in ids:
            threads[row["conversation_id"]].append(row)
    edited = {key for key, row in before.items() if row.edited_at is not None}
    return {
        own_id: Counted(
            sum(_key_of(row) not in before for row in thread),
            max((row["sent_at"] for row in thread if row["sent_at"] is not None), default=None),
            max(
                (r["version_ms"] for r in thread if r["edited_at"] or _key_of(r) in edited),
                default=0,
            ),
        )
        for own_id, thread in threads.items()
    }


async def _recount(connection: AsyncConnection, website_id: str, touched: Set[str]) -> None:
    ordered = sorted(touched)
    for start in range(0, len(ordered), CHUNK):
        ids = ordered[start : start + CHUNK]
        asked = Query(_recounting(), {"website": website_id, "conversations": ids})
        await execute_later(connection, Later(asked))


@cache
def _recounting() -> Update:
    """Each touched thread is read once: all have rows, if only marks of what was removed."""
    live = messages.c.deleted_at.is_(None)
    found = (
        select(
            messages.c.conversation_id,
            func.count().filter(live).label("live"),
            func.max(messages.c.sent_at).filter(live).label("newest"),
        )
        .where(
            messages.c.website_id == bindparam("website"),
            is_one_of(messages.c.conversation_id, "conversations"),
        )
        .group_by(messages.c.conversation_id)
        .subquery("found")
    )
    return (
        update(conversations)
        .where(
            conversations.c.website_id == bindparam("website"),
            # Said twice: while PostgreSQL takes the table for empty, it counts anew for each row of it.
            is_one_of(conversations.c.id, "conversations"),
            conversations.c.id == found.c.conversation_id,
        )
        .values(message_count=found.c.live, last_message_at=found.c.newest)
    )
