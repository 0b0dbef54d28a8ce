"""Web hooks in words and figures. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.pages.text import number
from app.pages.times import long_span
from app.webhooks.hook_figures import COUNTED_AT_MOST, COUNTED_EVERYWHERE
from app.webhooks.redact import Redacted

# (tone, word, what it means)
STATES = {
    "new": ("busy", "waiting", "It is stored and waits to be applied."),
    "done": ("good", "applied", "What it told is in the contact or conversation it is about."),
    "ignored": ("idle", "ignored", "Nothing that is kept here depends on it."),
    "parked": (
        "waiting",
        "parked",
        "It waits until its website takes hooks: imported for the first time, resumed or installed again.",
    ),
    "dead": (
        "bad",
        "dead",
        "It could not be applied. Nothing of it is lost: once the reason is mended, replay it.",
    ),
}
TABS = (
    ("dead", "Dead"),
    ("parked", "Parked"),
    ("new", "Waiting"),
    ("ignored", "Ignored"),
    ("done", "Applied"),
    ("all", "All"),
)
NOTHING = {
    "dead": "No dead letters",
    "parked": "Nothing is parked",
    "new": "Nothing waits",
    "ignored": "Nothing was ignored",
    "done": "Nothing was applied",
    "all": "No events",
}
MISSED = {"message": "messages", "conversation": "conversations", "contact": "contacts"}


@dataclass(frozen=True, slots=True)
class MissedDay:
    day: str
    total: int
    words: str


def tone_of(state: str) -> str:
    return STATES.get(state, ("idle", state, ""))[0]


def word_of(state: str) -> str:
    return STATES.get(state, ("idle", state, ""))[1]


def sentence_of(state: str) -> str:
    return STATES.get(state, ("idle", state, ""))[2]


def event_name(event: str) -> str:
    return event or "unreadable"


def capped(count: int, at_most: int = COUNTED_AT_MOST) -> str:
    """`12`, `10,000+` where no more were counted."""
    return number(count) + ("+" if count >= at_most else "")


def counted_everywhere(count: int) -> str:
    return capped(count, COUNTED_EVERYWHERE)


def delay(ms: float | None) -> str:
    """`40 ms`, `3.2 s`, `12 s`, `5 min`."""
    if ms is None:
        return "–"
    if ms < 1_000:
        return f"{ms:.0f} ms"
    if ms < 10_000:
        return f"{ms / 1_000:.1f} s"
    return long_span(ms / 1_000)


def missed_days(rows: Sequence[Any]) -> list[MissedDay]:
    """`rows`: (day, kind, missed), newest day first."""
    days: dict[str, list[Any]] = {}
    for row in rows:
        days.setdefault(row.day, []).append(row)
    return [
        MissedDay(
            day,
            sum(row.missed for row in of_day),
            ", ".join(f"{number(row.missed)} {MISSED.get(row.kind, row.kind)}" for row in of_day),
        )
        for day, of_day in days.items()
    ]


def replayed_words(put_back: int, without_body: int) -> str:
    """What came of a replay, as its notice says it."""
    parts = ["Nothing was put back: what fits waits already, or there is none."]
    if put_back:
        events = "1 event was" if put_back == 1 else f"{number(put_back)} events were"
        parts = [f"{events} put back and will be applied again within seconds."]
    if without_body:
        left = "1 was" if without_body == 1 else f"{number(without_body)} were"
        parts.append(f"{left} left alone: the body is no longer kept, so nothing is left to apply.")
    return " ".join(parts)


def body_words(told: Redacted) -> str:
    """The redacted body, indented; of an unreadable one its size and first bytes."""
    if told.head is not None:
        begins = f" It begins with the bytes {told.head}." if told.head else ""
        return f"{number(told.size)} bytes that are no JSON.{begins}"
    return json.dumps(told.shown, indent=2, ensure_ascii=False)
