"""A hook's body as it may be looked at: its structure, ids, numbers and times, and nothing people said.

An allowlist: what is not named here is shown as its type and length (SPEC P7, FAILURES case 99).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.crisp.payloads import Unreadable, parse

HEAD_BYTES = 16
MOST_ITEMS = 100
MOST_DEPTH = 12

# Names of Crisp's envelope and of objects that hold more names of Crisp's own (crisp/REFERENCE.md
# sections 6 and 7.5). Objects under any other name hold what people wrote.
_ENVELOPE = frozenset({"data"})
_INNER = frozenset({"update", "user", "details", "plan", "operator", "availability", "identity"})

_IDS = frozenset({
    "website_id", "session_id", "people_id", "plugin_id", "inbox_id", "previous_inbox_id",
    "routing_id", "previous_routing_id", "routing_ids", "user_id", "fingerprint", "fingerprints",
    "id",
})  # fmt: skip
_NUMBERS = frozenset(
    {"timestamp", "updated_at", "created_at", "fingerprint", "fingerprints", "stars"}
)
_FLAGS = frozenset({
    "stamped", "automated", "is_blocked", "is_verified", "available", "bound", "subscribed", "read",
    "delivered", "trialing",
})  # fmt: skip
_WORDS = {
    "event": re.compile(r"[a-z_]{1,20}(?::[a-z_]{1,30}){1,4}"),
    "type": re.compile(
        r"text|file|animation|audio|picker|field|carousel|note|event|website|participant|"
        r"online|offline|available|unavailable|email|phone|identity"
    ),
    "from": re.compile(r"user|operator"),
    "origin": re.compile(r"chat|email|urn:[a-z.]{1,30}:[a-z]{1,20}(?::[0-9])?"),
    "state": re.compile(r"pending|unresolved|resolved"),
    "availability": re.compile(r"online|offline"),
    "target": re.compile(r"plugin_subscriptions"),
}
_ID = re.compile(r"(?:[a-z]{1,12}_)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Redacted:
    """`shown` is JSON-like with marks for what is left out; of an unreadable body only `head` is known."""

    size: int
    shown: Any = None
    head: str | None = None


def redact(body: bytes) -> Redacted:
    """Never raises: a body that is no JSON shows its size in bytes and its first bytes as hex."""
    try:
        value = parse(body)
    except Unreadable:
        return Redacted(len(body), head=body[:HEAD_BYTES].hex(" "))
    return Redacted(len(body), _object(value, _ENVELOPE, 0) if isinstance(value, dict) else
                    _mark(value))  # fmt: skip


def _object(value: Mapping[str, Any], inside: frozenset[str] | None, depth: int) -> Any:
    """`inside`: which objects in it hold names of Crisp's own; None when this one does not itself."""
    if depth >= MOST_DEPTH:
        return _mark(value)
    shown = {}
    for number, (name, inner) in enumerate(value.items()):
        if number == MOST_ITEMS:
            shown[f"‹{len(value) - MOST_ITEMS:,} more names›"] = "…"
            break
        shown[_shown_name(name, number)] = _value(name, inner, inside, depth + 1)
    return shown


def _value(name: str, value: Any, inside: frozenset[str] | None, depth: int) -> Any:
    if isinstance(value, dict):
        own = inside is not None and name in inside
        return _object(value, _INNER if own else None, depth)
    if isinstance(value, list):
        return _items(name, value, inside, depth)
    if value is None or (inside is not None and _may_be_shown(name, value)):
        return value
    return _mark(value)


def _items(name: str, value: list[Any], inside: frozenset[str] | None, depth: int) -> Any:
    if depth >= MOST_DEPTH:
        return _mark(value)
    # Objects in a list never hold more of Crisp's own names than their list would.
    shown = [_value(name, item, inside, depth + 1) for item in value[:MOST_ITEMS]]
    if len(value) > MOST_ITEMS:
        shown.append(f"‹{len(value) - MOST_ITEMS:,} more›")
    return shown


def _may_be_shown(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return name in _FLAGS
    if isinstance(value, int | float):
        return name in _NUMBERS
    if name in _IDS:
        return _ID.fullmatch(value) is not None
    words = _WORDS.get(name)
    return words is not None and words.fullmatch(value) is not None


def _shown_name(name: str, number: int) -> str:
    """Names are part of the structure, but one can be an address that somebody used as a key."""
    return (
        name if _NAME.fullmatch(name) else f"‹name {number + 1}, {_count(len(name), 'character')}›"
    )


def _mark(value: Any) -> str:
    if isinstance(value, str):
        return f"‹text, {_count(len(value), 'character')}›"
    if isinstance(value, bool):
        return "‹yes or no›"
    if isinstance(value, int | float):
        return f"‹number, {_count(len(str(value)), 'character')}›"
    if isinstance(value, dict):
        return f"‹object, {_count(len(value), 'name')}›"
    return f"‹list, {_count(len(value), 'item')}›" if value is not None else "‹nothing›"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"
