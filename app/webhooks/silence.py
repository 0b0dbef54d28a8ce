"""Has a website that usually talks gone silent? (SPEC T1, V9)"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.webhooks.hook_figures import last_received
from app.webhooks.tables import hook_days, inbox_events
from app.websites.tables import websites

WEEK = 7
MOST_OF_A_WEEK = 4
SHORTEST = timedelta(hours=1)
TIMES_THE_USUAL_GAP = 10
LOOKED_AT = 2_000
"""Rows of the inbox looked at for each earlier day; one too quiet to be among them is not warned of."""

_TALKING = ("connected", "paused")


@dataclass(frozen=True, slots=True)
class Silence:
    """`since` is when the last hook arrived; `usual_gap` what lay between two over the last week."""

    since: datetime
    usual_gap: timedelta


async def silent_since(connection: AsyncConnection, website_id: str) -> Silence | None:
    """The warning, or None when all is as usual.

    Silent much longer than its usual gap, an hour at least, at a time at which it talked on most of
    the last days and a week ago: nights and weekends are no news.
    """
    now = clock.now()
    last = await last_received(connection, website_id)
    if last is None or now - last < SHORTEST or not await _installed(connection, website_id):
        return None
    gap, days, oldest = await _usual(connection, website_id, now)
    if gap is None or days < MOST_OF_A_WEEK or now - last < TIMES_THE_USUAL_GAP * gap:
        return None
    talked = [
        back
        for back in range(1, WEEK + 1)
        if await _talked(connection, website_id, last - back * _DAY, now - back * _DAY)
    ]
    young = oldest > (now - WEEK * _DAY).date().isoformat()
    usual = len(talked) >= MOST_OF_A_WEEK and (young or WEEK in talked)
    return Silence(last, gap) if usual else None


_DAY = timedelta(days=1)


async def _installed(connection: AsyncConnection, website_id: str) -> bool:
    status = await connection.scalar(select(websites.c.status).where(websites.c.id == website_id))
    return status in _TALKING


async def _usual(
    connection: AsyncConnection, website_id: str, now: datetime
) -> tuple[timedelta | None, int, str]:
    """(mean gap, days with hooks among the seven before today, the oldest day of all)."""
    d = hook_days.c
    before_today = (d.day >= (now - WEEK * _DAY).date().isoformat()) & (
        d.day < now.date().isoformat()
    )
    query = select(
        func.coalesce(func.sum(d.arrived).filter(before_today), 0).label("arrived"),
        func.count(d.day.distinct()).filter(before_today).label("days"),
        func.min(d.day).label("oldest"),
    ).where(d.website_id == website_id)
    row = (await connection.execute(query)).one()
    gap = WEEK * _DAY / int(row.arrived) if row.arrived else None
    return gap, row.days, row.oldest or ""


async def _talked(
    connection: AsyncConnection, website_id: str, start: datetime, end: datetime
) -> bool:
    e = inbox_events.c
    some = (
        select(e.website_id).where(e.received_at > start, e.received_at <= end).limit(LOOKED_AT)
    ).subquery()
    query = select(some.c.website_id).where(some.c.website_id == website_id).limit(1)
    return (await connection.execute(query)).first() is not None
