"""Times: everything inside is UTC; Crisp speaks epoch milliseconds (crisp/REFERENCE.md section 3)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeGuard
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Crisp opened in 2015; imported history may be older. What lies outside is a wrong unit or a typing error.
EARLIEST_MS = 631_152_000_000  # 1990-01-01
LATEST_MS = 4_102_444_800_000  # 2100-01-01
# `int | float` makes another object at every call.
_NUMBER = (int, float)


def now() -> datetime:
    return datetime.now(UTC)


def now_ms() -> int:
    """This machine's clock, epoch ms."""
    return time.time_ns() // 1_000_000


def is_ms(value: object) -> TypeGuard[float]:
    """Whether it is a time between 1990 and 2100 as epoch ms."""
    if not isinstance(value, _NUMBER) or isinstance(value, bool):
        return False
    return EARLIEST_MS <= value < LATEST_MS  # also false for NaN


def from_ms(value: object) -> datetime | None:
    """Epoch ms to UTC; None for anything that is no time between 1990 and 2100."""
    return EPOCH + timedelta(milliseconds=int(value)) if is_ms(value) else None


def to_ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def iso_ms(ms: int) -> str:
    """Epoch ms as Crisp's query parameters want it: `2018-03-01T17:00:00.000Z`."""
    return (EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def zone_named(name: str | None) -> tzinfo:
    """The zone, or UTC when there is none of that name (or no zone data on this machine)."""
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError, LookupError):
        return UTC
