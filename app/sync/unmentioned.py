"""Messages that are stored and that Crisp does not mention any more where they stood.

A removal whose hook was lost leaves no other trace. Each is asked for by itself; only "not found"
makes it a removal (SPEC S9, FAILURES case 48).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from app.clock import from_ms
from app.conversations.tables import messages
from app.conversations.threads import MessageRemoval
from app.crisp.client import refuse_path_part
from app.crisp.errors import Gone
from app.db.base import StoredRow
from app.records import MESSAGE_SETTLE_MS, conversation_id
from app.sync.pull import Pull
from app.sync.thread import Part

MOST = 50
"""Of one thread at once; the rest is looked at when the thread is read the next time."""


@dataclass(slots=True)
class Mentioned:
    """What reading a thread from its newest message back has shown so far."""

    fingerprints: set[int] = field(default_factory=set)
    oldest_ms: int | None = None
    asked_ms: int | None = None

    def add(self, part: Part) -> None:
        for message in part.messages:
            self.fingerprints.add(message.fingerprint)
            sent_ms = message.version.crisp_ms
            if sent_ms and (self.oldest_ms is None or sent_ms < self.oldest_ms):
                self.oldest_ms = sent_ms
        if self.asked_ms is None and part.progress is not None:
            self.asked_ms = part.progress.asked_ms


async def find_removed(pull: Pull, row: StoredRow, mentioned: Mentioned, part: Part) -> None:
    """Note in `part`, the last of a thread that was read before, what of it was removed.

    What was sent so shortly before that Crisp may not show it yet leaves the thread unsettled.
    Raises what `Pull.get` raises, except Gone.
    """
    oldest_ms = 0 if part.reached_start else mentioned.oldest_ms
    if row.messages_complete and oldest_ms is not None:
        await _find_removed_since(pull, row, mentioned, part, oldest_ms)


async def find_removed_of_whole(
    pull: Pull, row: StoredRow, mentioned: Mentioned, part: Part
) -> None:
    """The same of a thread that was read from its end to its start, whatever was known of it."""
    if part.reached_start:
        await _find_removed_since(pull, row, mentioned, part, 0)


async def _find_removed_since(
    pull: Pull, row: StoredRow, mentioned: Mentioned, part: Part, oldest_ms: int
) -> None:
    asked_ms = mentioned.asked_ms
    if part.progress is None or not asked_ms:
        return
    stored = await _find_between(pull, row, oldest_ms, asked_ms)
    unmentioned = [one for one in stored if one.fingerprint not in mentioned.fingerprints]
    settled = from_ms(asked_ms - MESSAGE_SETTLE_MS)
    old = [one.fingerprint for one in unmentioned if settled and one.sent_at < settled]
    if len(old) < len(unmentioned):
        part.progress = replace(part.progress, unsettled=True)
    part.removed = await _ask_singly(pull, row, old[:MOST])


async def _ask_singly(pull: Pull, row: StoredRow, fingerprints: list[int]) -> list[MessageRemoval]:
    removed: list[MessageRemoval] = []
    for fingerprint in fingerprints:
        asked_ms = pull.client.clock.now_ms()
        path = f"conversation/{refuse_path_part(row.session_id)}/message/{fingerprint}"
        try:
            await pull.get(path)
        except Gone:
            removed.append(MessageRemoval(row.session_id, fingerprint, asked_ms))
    return removed


async def _find_between(
    pull: Pull, row: StoredRow, oldest_ms: int, asked_ms: int
) -> Sequence[StoredRow]:
    """Stored messages, newest first. Of the oldest millisecond itself some may have been cut off."""
    after = [messages.c.sent_at > from_ms(oldest_ms)] if oldest_ms else []
    async with pull.db.read() as connection:
        rows = await connection.execute(
            select(messages.c.fingerprint, messages.c.sent_at)
            .where(
                messages.c.website_id == pull.website_id,
                messages.c.conversation_id == conversation_id(pull.website_id, row.session_id),
                messages.c.deleted_at.is_(None),
                messages.c.complete,
                *after,
                messages.c.sent_at < from_ms(asked_ms),
            )
            .order_by(messages.c.sent_at.desc())
        )
        return rows.all()
