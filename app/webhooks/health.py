"""Counting web hooks per website, event name and UTC day, as they are dealt with.

The inbox is emptied after its retention; these counts stay. `hook_figures` reads them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import dump_json

Outcome = Literal["done", "ignored", "dead"]

_GROWTH = 1.25
_LONGEST_MS = 14 * 86_400_000
_MS = timedelta(milliseconds=1)


def _steps() -> tuple[int, ...]:
    bounds, bound = [1], 1
    while bound < _LONGEST_MS:
        bound = max(bound + 1, math.floor(bound * _GROWTH))
        bounds.append(bound)
    return tuple(bounds)


DELAY_STEPS = _steps()
"""Upper bounds in whole ms, each at most a quarter above the one before; the last is over 14 days."""


class Counted(NamedTuple):
    """One hook that was dealt with; `website_id` is "" for nobody's, times are UTC.

    `first_attempt` is the X-Delivery-Attempt-Count of the delivery that came first.
    """

    website_id: str
    event: str
    received_at: datetime
    done_at: datetime
    outcome: Outcome
    first_attempt: int


@dataclass(slots=True)
class _Day:
    last_received_at: datetime
    arrived: int = 0
    ignored: int = 0
    dead: int = 0
    repeated_first: int = 0


async def count_hooks(connection: AsyncConnection, counted: Sequence[Counted]) -> None:
    """Add to `hook_days` in the caller's transaction, in one statement whatever the number.

    The database adds, to the delays too, so that it is exact whoever else counts at the same time.
    """
    if not counted:
        return
    sqlite = connection.dialect.name == "sqlite"
    rows = _rows(counted)
    await connection.execute(_ADD_SQLITE if sqlite else _ADD_POSTGRES, {"days": dump_json(rows)})


def _rows(counted: Sequence[Counted]) -> list[dict[str, Any]]:
    """One row for each website, event and day, in key order (FAILURES case 75)."""
    days: dict[tuple[str, str, date], _Day] = {}
    delays: dict[tuple[str, str, date], dict[int, int]] = {}
    for one in counted:
        received = one.received_at.astimezone(UTC)
        key = (one.website_id, one.event, received.date())
        day = days.get(key)
        if day is None:
            day, delays[key] = days.setdefault(key, _Day(received)), {}
        _add(day, delays[key], one, received)
    return [
        {
            "website_id": key[0],
            "event": key[1],
            "day": key[2].isoformat(),
            "arrived": day.arrived,
            "ignored": day.ignored,
            "dead": day.dead,
            "repeated_first": day.repeated_first,
            "delays": {str(step): count for step, count in delays[key].items()},
            # As both databases keep it: text of fixed width on SQLite, read with its zone on PostgreSQL.
            "last_received_at": day.last_received_at.isoformat(" ", "milliseconds")[:23],
        }
        for key, day in sorted(days.items())
    ]


def _add(day: _Day, delays: dict[int, int], one: Counted, received: datetime) -> None:
    day.arrived += 1
    day.repeated_first += one.first_attempt > 1
    day.last_received_at = max(day.last_received_at, received)
    if one.outcome == "done":
        step = step_of((one.done_at - received) // _MS)
        delays[step] = delays.get(step, 0) + 1
    elif one.outcome == "ignored":
        day.ignored += 1
    else:
        day.dead += 1


def step_of(delay_ms: int) -> int:
    """The index in DELAY_STEPS; what is shorter or longer than all of them goes to the nearest."""
    return min(bisect_left(DELAY_STEPS, delay_ms), len(DELAY_STEPS) - 1)


def percentile(delays: Mapping[str, int], share: float) -> float | None:
    """The delay in ms that `share` of them do not exceed, right within about 12 %; None without any."""
    total = sum(delays.values())
    reached, found = 0, None
    for step in sorted(int(step) for step in delays):
        reached += delays[str(step)]
        found = step
        if reached >= share * total:
            break
    if not total or found is None:
        return None
    # The middle of the step; its shortest whole ms is one above the bound before.
    lowest = DELAY_STEPS[found - 1] + 1 if found else 1
    return math.sqrt(lowest * DELAY_STEPS[found])


_INSERT = """
INSERT INTO hook_days AS kept (website_id, event, day, arrived, ignored, dead, repeated_first,
    delays, last_received_at)
"""
_MERGE = """
ON CONFLICT (website_id, event, day) DO UPDATE SET
    arrived = kept.arrived + excluded.arrived,
    ignored = kept.ignored + excluded.ignored,
    dead = kept.dead + excluded.dead,
    repeated_first = kept.repeated_first + excluded.repeated_first,
"""


def _postgres() -> TextClause:
    return text(f"""{_INSERT}
SELECT website_id, event, day, arrived, ignored, dead, repeated_first, delays,
    last_received_at AT TIME ZONE 'UTC'
FROM json_to_recordset(CAST(:days AS json)) AS days (website_id text, event text, day text,
    arrived int, ignored int, dead int, repeated_first int, delays jsonb,
    last_received_at timestamp)
{_MERGE}
    last_received_at = greatest(kept.last_received_at, excluded.last_received_at),
    delays = (
        SELECT coalesce(jsonb_object_agg(step, counted), '{{}}')
        FROM (
            SELECT step, sum(CAST(counted AS int)) AS counted
            FROM (
                SELECT * FROM jsonb_each_text(kept.delays)
                UNION ALL SELECT * FROM jsonb_each_text(excluded.delays)
            ) AS both_of_them (step, counted)
            GROUP BY step
        ) AS sums
    )""")  # noqa: S608  # made of the constants above


def _sqlite() -> TextClause:
    names = ("website_id", "event", "day", "arrived", "ignored", "dead", "repeated_first")
    picked = ", ".join(
        f"json_extract(value, '$.{name}')" for name in (*names, "delays", "last_received_at")
    )
    return text(f"""{_INSERT}
SELECT {picked} FROM json_each(:days) WHERE true
{_MERGE}
    last_received_at = max(kept.last_received_at, excluded.last_received_at),
    delays = (
        SELECT json_group_object(step, counted)
        FROM (
            SELECT step, sum(counted) AS counted
            FROM (
                SELECT key AS step, value AS counted FROM json_each(kept.delays)
                UNION ALL SELECT key, value FROM json_each(excluded.delays)
            )
            GROUP BY step
        )
    )""")  # noqa: S608  # made of the constants above


_ADD_POSTGRES = _postgres()
_ADD_SQLITE = _sqlite()
