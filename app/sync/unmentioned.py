"""Messages that are stored and that Crisp does not mention any more where they stood.

A removal whose hook was lost leaves no other trace. Each is asked for by itself; only "not found"
makes it a removal (SPEC S9, FAILURES case 48).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace

from sqlalchemy import select

from app.clock import from_ms
from app.conversations.tables import messages
from app.conversations.threads import MessageRemoval
from app.crisp.client import refuse_path_part
from app.crisp.errors import Gone
from app.db.base import StoredRow
from app.db.session import Database
from app.records import MESSAGE_SETTLE_MS, conversation_id
from app.sync.thread import Asks, HandOver, Part, never, read_thread

MOST = 50
"""Of one part of a thread at once; the rest is looked at when the thread is read the next time."""


async def read_and_compare(
    db: Database, asks: Asks, row: StoredRow, must_hand_over: HandOver = never
) -> AsyncIterator[Part]:
    """What `read_thread` yields, each part with those of the stored messages that were removed in Crisp.

    Of a thread that was never read, what hooks told is compared too. When nothing is stored of it,
    its last part says how many messages were shown, so that what hooks tell while it is read
    is noticed. A message sent so shortly before that Crisp may not show it yet leaves the
    thread unsettled. Raises what `read_thread` and `Asks.get` raise.
    """
    shown: set[int] = set()
    stores_some = row.messages_complete or row.message_count > 0
    unsettled = False
    async for part in read_thread(asks, row, must_hand_over):
        shown.update(message.fingerprint for message in part.messages)
        if stores_some and part.progress is not None:
            unsettled |= await _compare(db, asks, row, part, shown)
            part.progress = replace(part.progress, unsettled=unsettled)
        elif part.progress is not None and part.reached_start:
            part.progress = replace(part.progress, shown=len(shown))
        yield part


async def _compare(
    db: Database, asks: Asks, row: StoredRow, part: Part, shown: Collection[int]
) -> bool:
    """Note in `part` what was removed of its stretch of the thread; whether some of it is too fresh to tell."""
    asked_ms = part.progress.asked_ms if part.progress is not None else None
    oldest_ms = 0 if part.reached_start else _oldest_ms(part)
    if not asked_ms or oldest_ms is None:
        return False
    stored = await _find_between(db, row, oldest_ms, part.before_ms, asked_ms)
    unmentioned = [one for one in stored if one.fingerprint not in shown]
    settled = from_ms(asked_ms - MESSAGE_SETTLE_MS)
    old = [one.fingerprint for one in unmentioned if settled and one.sent_at < settled]
    part.removed = await _ask_singly(asks, row, old[:MOST])
    return len(old) < len(unmentioned)


def _oldest_ms(part: Part) -> int | None:
    return min((m.version.crisp_ms for m in part.messages if m.version.crisp_ms), default=None)


async def _ask_singly(asks: Asks, row: StoredRow, fingerprints: list[int]) -> list[MessageRemoval]:
    removed: list[MessageRemoval] = []
    for fingerprint in fingerprints:
        asked_ms = asks.client.clock.now_ms()
        path = f"conversation/{refuse_path_part(row.session_id)}/message/{fingerprint}"
        try:
            await asks.get(path)
        except Gone:
            removed.append(MessageRemoval(row.session_id, fingerprint, asked_ms))
    return removed


async def _find_between(
    db: Database, row: StoredRow, oldest_ms: int, before_ms: int | None, asked_ms: int
) -> Sequence[StoredRow]:
    """Stored messages, newest first. Of the oldest millisecond itself some may have been cut off."""
    bounds = [messages.c.sent_at > from_ms(oldest_ms)] if oldest_ms else []
    if before_ms is not None:
        bounds.append(messages.c.sent_at <= from_ms(before_ms))
    async with db.read() as connection:
        rows = await connection.execute(
            select(messages.c.fingerprint, messages.c.sent_at)
            .where(
                messages.c.website_id == row.website_id,
                messages.c.conversation_id == conversation_id(row.website_id, row.session_id),
                messages.c.deleted_at.is_(None),
                messages.c.complete,
                *bounds,
                messages.c.sent_at < from_ms(asked_ms),
            )
            .order_by(messages.c.sent_at.desc())
        )
        return rows.all()
