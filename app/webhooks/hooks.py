"""What a signed body is about, as a row of the inbox. Nothing in a body can keep it from being stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from app import clock
from app.crisp.payloads import Unreadable, parse

# Both are in indexes, whose entries are limited (FAILURES case 58); real ones have 36 and 40 letters.
LONGEST_NAME = 200
# A clock that runs ahead must not give its hooks versions that nothing later can beat (case 16).
AHEAD_MS = 5 * 60_000
# Smaller numbers are seconds: as milliseconds they would lie before March 1973.
_FIRST_MS = 10**11
_MOST_ATTEMPTS = 1000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hook:
    """A row of `inbox_events` to be. `id` is the body's SHA-256; `error` is set for dead ones only."""

    id: str
    website_id: str | None
    event: str
    error: str | None
    received_at: datetime
    body: bytes
    emitted_ms: int
    first_attempt: int

    @property
    def state(self) -> str:
        return "dead" if self.error else "new"


def read_hook(body: bytes, timestamp: bytes, attempt: bytes, received_at: datetime) -> Hook:
    """Parse a body whose signature was right.

    `timestamp` and `attempt` are the headers X-Crisp-Request-Timestamp and X-Delivery-Attempt-Count.
    What no retry can mend is dead, with a sentence that says why (cases 10, 20).
    """
    digest = hashlib.sha256(body).hexdigest()
    envelope, error = _envelope(body)
    website_id, doubt = _website_id(envelope)
    event = envelope.get("event")
    error = error or doubt or (None if _is_name(event) else "The hook does not name its event.")
    if error:
        log.warning("hook.dead", website_id=website_id, reason=error)
    return Hook(
        id=digest,
        website_id=website_id,
        event=event[:LONGEST_NAME] if isinstance(event, str) else "",
        error=error,
        received_at=received_at,
        body=body,
        emitted_ms=_emitted_ms(envelope.get("timestamp"), timestamp, clock.to_ms(received_at)),
        first_attempt=_attempt(attempt),
    )


def _envelope(body: bytes) -> tuple[dict[str, Any], str | None]:
    try:
        value = parse(body)
    except Unreadable:
        return {}, "The body is no JSON that can be read."
    if isinstance(value, dict):
        return value, None
    return {}, "The body is JSON, but no object."


def _website_id(envelope: dict[str, Any]) -> tuple[str | None, str | None]:
    """Whose it says it is, and what speaks against believing it (case 20)."""
    data = envelope.get("data")
    outer = envelope.get("website_id")
    inner = data.get("website_id") if isinstance(data, dict) else None
    named = inner if outer is None else outer
    if named is None:
        return None, None
    if not _is_name(named):
        return None, "The hook's website_id is no text."
    if inner is not None and inner != named:
        return named[:LONGEST_NAME], "The envelope and its data name different websites."
    return named[:LONGEST_NAME], None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _emitted_ms(told: object, header: bytes, received_ms: int) -> int:
    """When Crisp sent it, epoch ms; 0 when neither the body nor the header tells."""
    at = int(told) if isinstance(told, int | float) and not isinstance(told, bool) else 0
    if at < 1:
        at = _digits(header, 0)
    return min(at if at >= _FIRST_MS else at * 1000, received_ms + AHEAD_MS)


def _attempt(header: bytes) -> int:
    attempt = _digits(header, 1)
    return attempt if 1 <= attempt <= _MOST_ATTEMPTS else 1


def _digits(header: bytes, otherwise: int) -> int:
    """A header of up to 18 digits as a number. `int` alone would take `1_0` and refuse 5,000 digits."""
    return int(header) if len(header) <= 18 and header.isdigit() else otherwise
