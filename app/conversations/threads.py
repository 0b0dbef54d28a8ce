"""Writing messages, and how far reading a conversation's messages has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    and_,
    bindparam,
    case,
    false,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.conversations.tables import conversations, messages
from app.db.upsert import Merge, Row, newest_by_key, update_rows, upsert
from app.records import MESSAGE_SETTLE_MS, EditRecord, MessageRecord, conversation_id

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
_REMOVAL = Merge(latest=("deleted_at", "removed_observed_ms"))
CHUNK = 500


async def write_messages(
    connection: AsyncConnection, website_id: str, records: Sequence[MessageRecord]
) -> set[str]:
    """Insert or update; ids of the conversations they belong to. A removed message stays removed.

    Who sent a message never changes, so it also completes a row of which only a newer edit is
    known; the content goes in only when it is newer (FAILURES case 3).
    """
    if not records:
        return set()
    rows = newest_by_key((_row(website_id, record) for record in records), _KEY)
    await upsert(connection, messages, rows, key=_KEY, merge=_WHOLE)
    return await _recounted(connection, website_id, rows)


async def write_edits(
    connection: AsyncConnection, website_id: str, edits: Sequence[EditRecord]
) -> set[str]:
    """New content; of a message that is not stored, what is told of it is kept until it comes."""
    if not edits:
        return set()
    rows = newest_by_key((_edited(website_id, edit) for edit in edits), _KEY)
    await upsert(connection, messages, rows, key=_KEY, merge=_EDIT)
    return await _recounted(connection, website_id, rows)


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
    await upsert(connection, messages, rows, key=_KEY, merge=_REMOVAL)
    return await _recounted(connection, website_id, rows)


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


async def _recounted(connection: AsyncConnection, website_id: str, rows: Sequence[Row]) -> set[str]:
    touched = sorted({row["conversation_id"] for row in rows})
    for start in range(0, len(touched), CHUNK):
        await recount(connection, website_id, touched[start : start + CHUNK])
    return set(touched)


async def recount(connection: AsyncConnection, website_id: str, ids: Sequence[str]) -> None:
    """Bring each conversation's message count and last message time up to its rows."""
    await connection.execute(_recount(), {"website": website_id, "conversations": ids})


@cache
def _recount() -> Update:
    mine: tuple[Any, ...] = (
        messages.c.website_id == conversations.c.website_id,
        messages.c.conversation_id == conversations.c.id,
        messages.c.deleted_at.is_(None),
    )
    counted = select(func.count()).select_from(messages).where(*mine)
    newest = select(func.max(messages.c.sent_at)).where(*mine)
    return (
        update(conversations)
        .where(conversations.c.website_id == bindparam("website"), _is_one_of(conversations.c.id))
        .values(
            message_count=counted.correlate(conversations).scalar_subquery(),
            last_message_at=newest.correlate(conversations).scalar_subquery(),
        )
    )


def _is_one_of(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column.in_(bindparam("conversations", expanding=True))


@dataclass(frozen=True, slots=True)
class ThreadProgress:
    """How far a thread was read, and the state of the conversation that it was read for.

    `back_to_ms` is where to go on reading backwards; None when its start was reached. `read_to_ms`
    is the time of the newest message that was read: everything before it is known, once the start
    was reached, which is not true of what hooks told. `asked_ms` is when the reading began;
    an `unsettled` thread is read again, since Crisp may not have shown its latest state.
    """

    session_id: str
    version_ms: int
    fingerprint: int | None
    back_to_ms: int | None
    read_to_ms: int | None = None
    asked_ms: int | None = None
    unsettled: bool = False


async def write_progress(
    connection: AsyncConnection, website_id: str, progress: Sequence[ThreadProgress]
) -> set[str]:
    """A finished thread is no longer due, unless the conversation moved while it was read.

    Of several parts of one thread the last in `progress` counts. Returns the ids of the
    conversations that stay due because they are unsettled: to be read later, not at once.
    """
    last = {conversation_id(website_id, thread.session_id): thread for thread in progress}
    unsettled = await _find_unsettled(connection, website_id, last)
    rows: list[Row] = [
        {
            "website_id": website_id,
            "id": own_id,
            "messages_version_ms": None if own_id in unsettled else thread.version_ms,
            "messages_fingerprint": thread.fingerprint,
            "messages_back_to_ms": thread.back_to_ms,
            "messages_complete": thread.back_to_ms is None,
            "messages_read_to_ms": thread.read_to_ms,
        }
        for own_id, thread in sorted(last.items())
    ]
    await update_rows(
        connection, conversations, rows, key=("website_id", "id"), also=_end_of_being_due
    )
    return unsettled


def _end_of_being_due(told: Mapping[str, ColumnElement[Any]]) -> dict[str, ColumnElement[Any]]:
    """Due no more, if the conversation is still the one that its thread was read for."""
    is_read = and_(
        told["messages_complete"], conversations.c.version_ms == told["messages_version_ms"]
    )
    return {"messages_due": case((is_read, false()), else_=conversations.c.messages_due)}


async def _find_unsettled(
    connection: AsyncConnection, website_id: str, threads: Mapping[str, ThreadProgress]
) -> set[str]:
    """Conversations in which a hook told of an edit so shortly before the reading that it won against
    what was read: a later edit whose hook was lost may be hidden by it, so they are read again.
    """
    asked = [thread.asked_ms for thread in threads.values() if thread.asked_ms is not None]
    found = {own_id for own_id, thread in threads.items() if thread.unsettled}
    if not asked:
        return found
    settled_ms = min(asked) - MESSAGE_SETTLE_MS
    rows = await connection.execute(
        _edited_late(),
        {
            "website": website_id,
            "conversations": sorted(threads),
            "settled": from_ms(settled_ms),
            "settled_ms": settled_ms,
        },
    )
    return found | {row.conversation_id for row in rows}


@cache
def _edited_late() -> Select[Any]:
    same = (conversations.c.website_id == messages.c.website_id) & (
        conversations.c.id == messages.c.conversation_id
    )
    return (
        select(messages.c.conversation_id)
        .join(conversations, same)
        .where(
            conversations.c.website_id == bindparam("website"),
            _is_one_of(conversations.c.id),
            conversations.c.crisp_updated_at > bindparam("settled"),
            messages.c.edited_at.is_not(None),
            messages.c.version_ms > bindparam("settled_ms"),
        )
        .distinct()
    )


async def read_again(
    connection: AsyncConnection, website_id: str, told: Sequence[MessageRecord]
) -> None:
    """Before messages that hooks told are written: threads that were read since one of them was sent,
    and did not show it, are due again. It may have been removed before they were read.
    """
    sent = {(conversation_id(website_id, m.session_id), m.fingerprint): m.sent_at for m in told}
    rows = await connection.execute(
        select(conversations.c.id, conversations.c.messages_version_ms).where(
            conversations.c.website_id == website_id,
            conversations.c.id.in_(sorted({own_id for own_id, _ in sent})),
            conversations.c.messages_version_ms.is_not(None),
        )
    )
    read_to = {row.id: from_ms(row.messages_version_ms) for row in rows}
    late = sorted(
        key
        for key, sent_at in sent.items()
        if sent_at is not None and (read := read_to.get(key[0])) is not None and sent_at <= read
    )
    if not late:
        return
    stored = await connection.execute(
        select(messages.c.conversation_id, messages.c.fingerprint).where(
            messages.c.website_id == website_id,
            tuple_(messages.c.conversation_id, messages.c.fingerprint).in_(late),
        )
    )
    known = {(row.conversation_id, row.fingerprint) for row in stored}
    unshown = sorted({own_id for own_id, fingerprint in late if (own_id, fingerprint) not in known})
    await connection.execute(
        update(conversations)
        .where(
            conversations.c.website_id == website_id,
            conversations.c.id.in_(unshown),
            conversations.c.deleted_at.is_(None),
        )
        .values(messages_version_ms=None, messages_due=True)
    )
