"""How much of a span of time falls into working hours, in a time zone with its summer time. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import Refused

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WRITTEN = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?\s+(\d\d?):(\d\d)-(\d\d?):(\d\d)", re.ASCII)
DEFAULT = "mon-fri 09:00-17:00"
MOST_PARTS = 14


@dataclass(frozen=True, slots=True)
class Part:
    """The same hours on each of `days` (0 is Monday); `closes` 24:00 is the next midnight."""

    first: int
    last: int
    opens: timedelta
    closes: timedelta

    @property
    def days(self) -> list[int]:
        return [(self.first + n) % 7 for n in range((self.last - self.first) % 7 + 1)]

    @property
    def written(self) -> str:
        days = (
            DAYS[self.first] if self.first == self.last else f"{DAYS[self.first]}-{DAYS[self.last]}"
        )
        return f"{days} {_clock(self.opens)}-{_clock(self.closes)}"

    @property
    def words(self) -> str:
        days = _NAMES[self.first]
        if self.first != self.last:
            days = f"{days} to {_NAMES[self.last]}"
        return f"{days} {_clock(self.opens)} to {_clock(self.closes)}"


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """`opened` are the hours of each weekday, from Monday on, in their order and apart."""

    parts: tuple[Part, ...]
    opened: tuple[tuple[tuple[timedelta, timedelta], ...], ...]
    zone: ZoneInfo

    @property
    def written(self) -> str:
        """As `read_hours` reads it."""
        return ", ".join(part.written for part in self.parts)

    @property
    def words(self) -> str:
        return ", ".join(part.words for part in self.parts)

    @property
    def key(self) -> str:
        """The same for hours by which every span is the same."""
        return f"{self.written} {self.zone.key}"

    def seconds(self, start: datetime, end: datetime) -> int:
        """Of [start, end) within the hours; 0 when end is not after start."""
        # Between two times of one zone Python counts by the wall clock, which jumps in spring.
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        if end <= start:
            return 0
        total = timedelta()
        day = start.astimezone(self.zone).date()
        last = end.astimezone(self.zone).date()
        while day <= last:
            for opens, closes in self.opened[day.weekday()]:
                opened, closed = self._at(day, opens), self._at(day, closes)
                total += max(timedelta(), min(end, closed) - max(start, opened))
            day += timedelta(days=1)
        return round(total.total_seconds())

    def _at(self, day: date, since_midnight: timedelta) -> datetime:
        """The wall clock's time of that day, in UTC: on the day of a change an hour is missing or doubled."""
        wall = datetime.combine(day, time()) + since_midnight
        return wall.replace(tzinfo=self.zone).astimezone(UTC)


def read_hours(text: str, zone_name: str, name: str = "BUSINESS_HOURS") -> BusinessHours:
    """From `mon-fri 09:00-17:00`, or several such parts separated by commas.

    Raises Refused, which calls them `name`; an unknown zone is UTC.
    """
    parts = tuple(_part(one, name) for one in text.split(","))
    if len(parts) > MOST_PARTS:
        raise Refused(f"{name} have at most {MOST_PARTS} parts.")
    opened = tuple(_hours_of(day, parts, name) for day in range(7))
    return BusinessHours(parts, opened, _zone(zone_name))


def _part(text: str, name: str) -> Part:
    found = _WRITTEN.fullmatch(text.strip().lower())
    wrong = Refused(
        f"{name} are not right: write them as {DEFAULT}, several parts separated by commas."
    )
    if found is None:
        raise wrong
    first, last = found[1], found[2] or found[1]
    opens = timedelta(hours=int(found[3]), minutes=int(found[4]))
    closes = timedelta(hours=int(found[5]), minutes=int(found[6]))
    minutes_right = int(found[4]) < 60 and int(found[6]) < 60
    if first not in DAYS or last not in DAYS or not minutes_right:
        raise wrong
    if not opens < closes <= timedelta(days=1):
        raise Refused(
            f"{name} are not right: each part ends after it begins, on the same day. A night is two parts."
        )
    return Part(DAYS.index(first), DAYS.index(last), opens, closes)


def _hours_of(
    day: int, parts: tuple[Part, ...], name: str
) -> tuple[tuple[timedelta, timedelta], ...]:
    hours = sorted((part.opens, part.closes) for part in parts if day in part.days)
    for (_, closes), (opens, _) in pairwise(hours):
        if opens < closes:
            raise Refused(f"{name} are not right: two parts overlap on {_NAMES[day]}.")
    return tuple(hours)


def _clock(since_midnight: timedelta) -> str:
    minutes = since_midnight // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
