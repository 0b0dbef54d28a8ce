"""Which conversations and messages are stored otherwise than Crisp tells them now (SPEC S8).

News younger than two minutes is no drift: its hook may be on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.merge import EMPTY, merge_conversation
from app.conversations.store import find_known
from app.conversations.tables import messages
from app.db.base import StoredRow
from app.db.lookup import find_by_key
from app.records import ConversationRecord, MessageRecord, Version, conversation_id

What = Literal["missing", "changed", "removed"]
Differing = dict[str, tuple[What, int]]
"""Crisp's id to what is wrong and the time of the news, Crisp's epoch ms."""

LAG_MS = 2 * 60_000
_COMPARED = (*(name for name in EMPTY if name != "last_message"), "metadata", "deleted_at")
_TOLD = ("direction", "type", "body", "content", "sent_at")
_KEY = ("conversation_id", "fingerprint")


def is_fresh(version: Version) -> bool:
    return version.crisp_ms > version.observed_ms - LAG_MS


async def conversation_drift(
    connection: AsyncConnection, website_id: str, records: Sequence[ConversationRecord]
) -> Differing:
    ids = {conversation_id(website_id, record.session_id): record for record in records}
    known = await find_known(connection, website_id, list(ids))
    differing: Differing = {}
    for own_id, record in ids.items():
        row = known.get(own_id)
        if is_fresh(record.version):
            continue
        if row is None:
            differing[record.session_id] = ("missing", record.version.crisp_ms)
        elif _differs(website_id, own_id, row, record):
            differing[record.session_id] = ("changed", record.version.crisp_ms)
    return differing


def _differs(website_id: str, own_id: str, row: StoredRow, record: ConversationRecord) -> bool:
    merged = merge_conversation(website_id, own_id, row, [record], {})
    return any(getattr(row, name) != merged[name] for name in _COMPARED)


async def message_drift(
    connection: AsyncConnection, website_id: str, records: Sequence[MessageRecord]
) -> Differing:
    """By `session/fingerprint`. What was removed here stays so, whatever a thread shows (SPEC D4)."""
    told = {(conversation_id(website_id, m.session_id), m.fingerprint): m for m in records}
    columns = (*_TOLD, "deleted_at", "complete", "version_ms", "observed_ms", "text_dropped_at")
    stored = await find_by_key(connection, messages, website_id, _KEY, list(told), columns)
    differing: Differing = {}
    for key, message in told.items():
        row = stored.get(key)
        what = _what(message, row)
        if what is not None:
            name = f"{message.session_id}/{message.fingerprint}"
            differing[name] = (what, message.version.crisp_ms)
    return differing


def _what(message: MessageRecord, row: StoredRow | None) -> What | None:
    if row is None or not row.complete:
        return None if is_fresh(message.version) else "missing"
    if row.text_dropped_at is not None:
        return None
    if row.deleted_at is not None or message.version.message_rank < (
        row.version_ms,
        row.observed_ms,
    ):
        return None
    differs = any(getattr(row, name) != getattr(message, name) for name in _TOLD)
    return "changed" if differs else None
