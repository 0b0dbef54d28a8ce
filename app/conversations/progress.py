"""How far reading a conversation's messages has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, false, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.conversations.begun import Begun, find_begun, settled_ms
from app.conversations.tables import conversations, messages
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows
from app.records import MessageRecord, ThreadProgress, conversation_id

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Counted(NamedTuple):
    """What the messages of a thread in this transaction come to: how many were not stored before, the time of
    the newest, and the version in ms of the newest that was edited, 0 when none was.
    """

    added: int
    newest: datetime | None
    edited_ms: int


async def write_progress(
    connection: AsyncConnection,
    website_id: str,
    progress: Sequence[ThreadProgress],
    begun: Begun | None = None,
    written: Mapping[str, Counted] = _NOTHING,
) -> set[str]:
    """A finished thread is no longer due, unless the conversation moved while it was read.

    Of several parts of one thread the last in `progress` counts. Returns the ids of the
    conversations that stay due because they are unsettled: to be read later, not at once. Those of
    which hooks told more meanwhile than was shown are read whole again, and compared with it.

    `begun`: what was stored of them before this transaction wrote what it `written` of them, by conversation;
    asked for where it is not given. Of threads of which nothing was, the rows are written once, with what was counted.
    """
    last = {conversation_id(website_id, thread.session_id): thread for thread in progress}
    if not last:
        return set()
    if begun is None:
        begun = await find_begun(connection, website_id, sorted(last), progress)
    unsettled = _find_unsettled(last, begun, written)
    outgrown = _find_outgrown(last, begun, written)
    rows = [
        _row(website_id, own_id, thread, own_id in unsettled, own_id in outgrown)
        for own_id, thread in sorted(last.items())
    ]
    filled = {
        own_id: found
        for own_id, found in written.items()
        if own_id not in begun.ids and found.added
    }
    counted = [
        {**row, "message_count": found.added, "last_message_at": found.newest}
        for row in rows
        if (found := filled.get(row["id"])) is not None
    ]
    for part in (counted, [row for row in rows if row["id"] not in filled]):
        await update_rows(
            connection, conversations, part, key=("website_id", "id"), also=_end_of_being_due
        )
    return unsettled


def _row(
    website_id: str, own_id: str, thread: ThreadProgress, is_unsettled: bool, is_outgrown: bool
) -> Row:
    return {
        "website_id": website_id,
        "id": own_id,
        "messages_version_ms": None if is_unsettled or is_outgrown else thread.version_ms,
        "messages_fingerprint": thread.fingerprint,
        "messages_back_to_ms": thread.back_to_ms,
        "messages_complete": thread.back_to_ms is None and not is_outgrown,
        "messages_read_to_ms": thread.read_to_ms,
    }


def _end_of_being_due(told: Mapping[str, ColumnElement[Any]]) -> dict[str, ColumnElement[Any]]:
    """Due no more, if the conversation is still the one that its thread was read for."""
    is_read = and_(
        told["messages_complete"], conversations.c.version_ms == told["messages_version_ms"]
    )
    return {"messages_due": case((is_read, false()), else_=conversations.c.messages_due)}


def _find_unsettled(
    threads: Mapping[str, ThreadProgress], begun: Begun, written: Mapping[str, Counted]
) -> set[str]:
    """Conversations in which a hook told of an edit so shortly before the reading that it won against
    what was read: a later edit whose hook was lost may be hidden by it, so they are read again.
    """
    found = {own_id for own_id, thread in threads.items() if thread.unsettled}
    settled = settled_ms(threads.values())
    if settled is None:
        return found
    found |= begun.edited_late & threads.keys()
    return found | {
        own_id
        for own_id, counted in written.items()
        if own_id in threads and own_id in begun.moved_late and counted.edited_ms > settled
    }


def _find_outgrown(
    threads: Mapping[str, ThreadProgress], begun: Begun, written: Mapping[str, Counted]
) -> set[str]:
    """Conversations with more messages than reading showed. What hooks told between may be gone already."""
    return {
        own_id
        for own_id, thread in threads.items()
        if thread.shown is not None and own_id in begun.ids
        if begun.counts[own_id] + (written[own_id].added if own_id in written else 0) > thread.shown
    }


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
            is_one_of(conversations.c.id, {own_id for own_id, _ in sent}),
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
    unshown = {own_id for own_id, fingerprint in late if (own_id, fingerprint) not in known}
    await connection.execute(
        update(conversations)
        .where(
            conversations.c.website_id == website_id,
            is_one_of(conversations.c.id, unshown),
            conversations.c.deleted_at.is_(None),
        )
        .values(messages_version_ms=None, messages_due=True)
    )
