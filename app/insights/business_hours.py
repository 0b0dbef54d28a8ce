"""How much of a span of time falls into working hours, in a time zone with its summer time. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import Refused

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WRITTEN = re.compile(r"(\w{3})(?:-(\w{3}))?\s+(\d\d?):(\d\d)-(\d\d?):(\d\d)", re.ASCII)
DEFAULT = "mon-fri 09:00-17:00"


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """The same hours on each of `days` (0 is Monday); `closes` 24:00 is the next midnight."""

    days: frozenset[int]
    opens: timedelta
    closes: timedelta
    zone: ZoneInfo

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
            if day.weekday() in self.days:
                opened, closed = self._at(day, self.opens), self._at(day, self.closes)
                total += max(timedelta(), min(end, closed) - max(start, opened))
            day += timedelta(days=1)
        return round(total.total_seconds())

    def _at(self, day: date, since_midnight: timedelta) -> datetime:
        """The wall clock's time of that day, in UTC: on the day of a change an hour is missing or doubled."""
        wall = datetime.combine(day, time()) + since_midnight
        return wall.replace(tzinfo=self.zone).astimezone(UTC)


def read_hours(text: str, zone_name: str) -> BusinessHours:
    """From `mon-fri 09:00-17:00`. Raises Refused; an unknown zone is UTC."""
    found = _WRITTEN.fullmatch(text.strip().lower())
    if found is None:
        raise Refused(f"BUSINESS_HOURS is not right: write it as {DEFAULT}.")
    first, last = found[1], found[2] or found[1]
    opens = timedelta(hours=int(found[3]), minutes=int(found[4]))
    closes = timedelta(hours=int(found[5]), minutes=int(found[6]))
    minutes_right = int(found[4]) < 60 and int(found[6]) < 60
    if first not in _DAYS or last not in _DAYS or not minutes_right:
        raise Refused(f"BUSINESS_HOURS is not right: write it as {DEFAULT}.")
    if not opens < closes <= timedelta(days=1):
        raise Refused("BUSINESS_HOURS is not right: they end after they begin, on the same day.")
    return BusinessHours(
        _span(_DAYS.index(first), _DAYS.index(last)), opens, closes, _zone(zone_name)
    )


def _span(first: int, last: int) -> frozenset[int]:
    return frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
