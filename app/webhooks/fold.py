"""Several hooks of one website as one batch for `ingest`, and what has to be done beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.conversations.threads import MessageRemoval
from app.crisp.hook_events import TELLERS, Told, Unusable, ids_in
from app.crisp.payloads import Unreadable, parse
from app.db.base import StoredRow
from app.records import Batch

TOO_OLD_MS = 72 * 3_600_000
"""Of an older hook only which record it is about is believed, and that is asked for (FAILURES case 15)."""


@dataclass(slots=True)
class News:
    """What a batch of hooks says. Times are Crisp's, epoch ms; `look_at_*` map to the news they hint at."""

    batch: Batch
    removed_messages: list[MessageRemoval] = field(default_factory=list)
    removed_conversations: dict[str, int] = field(default_factory=dict)
    removed_contacts: dict[str, int] = field(default_factory=dict)
    look_at_conversations: dict[str, int] = field(default_factory=dict)
    look_at_contacts: dict[str, int] = field(default_factory=dict)
    installed: tuple[int, bool] | None = None


Meaning = tuple[Told, int] | None
"""What a hook says and when it happened, epoch ms; None when nobody wants to know it."""


def interpret(row: StoredRow) -> Meaning:
    """Raises Unusable, with the reason, for what can never be applied."""
    teller = TELLERS.get(row.event)
    if teller is None:
        return None
    data = _data(row)
    received_ms = int(row.received_at.timestamp() * 1000)
    at_ms = row.emitted_ms
    if received_ms - at_ms > TOO_OLD_MS:  # or without any time
        return ids_in(data), received_ms
    return teller(data, at_ms), at_ms


def _data(row: StoredRow) -> Mapping[str, Any]:
    try:
        body = parse(row.body or b"")
    except Unreadable:
        raise Unusable("its body cannot be read") from None
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise Unusable("it has no data")
    if data.get("website_id", row.website_id) != row.website_id:
        raise Unusable("it names one website outside and another one inside")
    return data


def fold(news: News, told: Told, at_ms: int) -> None:
    """Add what one hook says; the order does not matter."""
    news.batch.contacts += told.contacts
    news.batch.conversations += told.conversations
    news.batch.messages += told.messages
    news.batch.edits += told.edits
    news.removed_messages += [MessageRemoval(s, f, at_ms) for s, f in told.removed_messages]
    for into, ids in (
        (news.removed_conversations, told.removed_conversations),
        (news.removed_contacts, told.removed_contacts),
        (news.look_at_conversations, told.look_at_conversations),
        (news.look_at_contacts, told.look_at_contacts),
    ):
        for external_id in ids:
            into[external_id] = max(into.get(external_id, 0), at_ms)
    if told.installed is not None:
        # Two of the same millisecond: uninstalled is the safe one, since it only stops.
        news.installed = max(news.installed or (0, False), (at_ms, told.installed), key=_install)


def _install(told: tuple[int, bool]) -> tuple[int, bool]:
    return told[0], not told[1]
