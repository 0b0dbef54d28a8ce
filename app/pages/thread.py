"""A thread as a person reads it: days, and in each day bursts of one sender (SPEC V3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from app.pages.contents import Shaped, shaped
from app.pages.text import clean
from app.pages.times import Moments

BURST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Said:
    """One message: what it shows and what happened to it."""

    anchor: str
    shape: Shaped
    sent_at: datetime | None
    edited_at: datetime | None
    deleted_at: datetime | None
    text_dropped_at: datetime | None


@dataclass(slots=True)
class Burst:
    """`side` is inbound, outbound, note or event; a burst has one sender and one channel."""

    side: str
    sender: str
    automated: bool
    origin: str
    started_at: datetime | None
    messages: list[Said] = field(default_factory=list)


@dataclass(slots=True)
class Day:
    day: date | None
    title: str
    bursts: list[Burst] = field(default_factory=list)


def thread_of(rows: Sequence[Any], moments: Moments, visitor: str, origin: str | None) -> list[Day]:
    """`rows` in reading order. Messages whose time Crisp left out stand first, under no day."""
    days: list[Day] = []
    last_at: datetime | None = None
    for row in rows:
        day = moments.local(row.sent_at).date() if row.sent_at else None
        if not days or days[-1].day != day:
            title = moments.day(row.sent_at) if row.sent_at else "Without a time"
            days.append(Day(day, title))
            last_at = None
        bursts = days[-1].bursts
        if not bursts or not _continues(bursts[-1], last_at, row, visitor):
            bursts.append(_burst(row, visitor, origin))
        bursts[-1].messages.append(_said(row))
        last_at = row.sent_at
    return days


def side_of(row: Any) -> str:
    if row.type == "event":
        return "event"
    return "note" if row.direction == "internal" else str(row.direction)


def sender_of(row: Any, visitor: str) -> str:
    """The visitor's own name for this message, else the contact's; an operator without a name is one."""
    if row.sender_name and (shown := clean(row.sender_name).strip()):
        return shown
    if row.direction == "inbound":
        return visitor
    return "" if row.type == "event" else "Operator"


def _continues(burst: Burst, last_at: datetime | None, row: Any, visitor: str) -> bool:
    same = (burst.side, burst.sender, burst.automated) == (
        side_of(row),
        sender_of(row, visitor),
        row.automated,
    )
    soon = last_at is None or row.sent_at is None or row.sent_at - last_at <= BURST
    return same and soon and burst.side != "event"


def _burst(row: Any, visitor: str, origin: str | None) -> Burst:
    # The channel is worth a word only where it is not the conversation's own.
    other = row.origin if row.origin and row.origin != origin else ""
    return Burst(side_of(row), sender_of(row, visitor), row.automated, other, row.sent_at)


def _said(row: Any) -> Said:
    shape = shaped(row.type, row.body, row.content)
    marks = row.edited_at, row.deleted_at, row.text_dropped_at
    return Said(f"m{row.fingerprint}", shape, row.sent_at, *marks)
