"""Has a website that usually talks gone silent? (SPEC T1, V9)"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import AnySelect, StoredRow
from app.db.together import ask_together
from app.webhooks.hook_figures import last_of, last_query
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
    last_row, usual_row = await ask_together(
        connection, last_query(website_id), usual_query(website_id)
    )
    return await silence_of(connection, website_id, last_of(last_row[0]), usual_row[0])


async def silence_of(
    connection: AsyncConnection, website_id: str, last: datetime | None, usual: StoredRow
) -> Silence | None:
    """The same of what is known already: when the last hook arrived, and the row of `usual_query`."""
    now = clock.now()
    if last is None or now - last < SHORTEST or usual.status not in _TALKING:
        return None
    gap = WEEK * _DAY / int(usual.arrived) if usual.arrived else None
    if gap is None or usual.days < MOST_OF_A_WEEK or now - last < TIMES_THE_USUAL_GAP * gap:
        return None
    talked = await _days_back(connection, website_id, last, now)
    young = (usual.oldest or "") > (now - WEEK * _DAY).date().isoformat()
    as_ever = len(talked) >= MOST_OF_A_WEEK and (young or WEEK in talked)
    return Silence(last, gap) if as_ever else None


_DAY = timedelta(days=1)


def usual_query(website_id: str) -> AnySelect:
    """One row: `status` of the website, hooks that `arrived` on how many `days` of the seven before
    today, and the `oldest` day of all.
    """
    now, d = clock.now(), hook_days.c
    before_today = (d.day >= (now - WEEK * _DAY).date().isoformat()) & (
        d.day < now.date().isoformat()
    )
    status = select(websites.c.status).where(websites.c.id == website_id).scalar_subquery()
    return select(
        status.label("status"),
        func.coalesce(func.sum(d.arrived).filter(before_today), 0).label("arrived"),
        func.count(d.day.distinct()).filter(before_today).label("days"),
        func.min(d.day).label("oldest"),
    ).where(d.website_id == website_id)


async def _days_back(
    connection: AsyncConnection, website_id: str, last: datetime, now: datetime
) -> set[int]:
    """How many days ago it talked at the time of day of this silence, of the last seven."""
    query = select(
        *(
            _talked(website_id, last - back * _DAY, now - back * _DAY).label(f"back_{back}")
            for back in range(1, WEEK + 1)
        )
    )
    row = (await connection.execute(query)).one()
    return {back for back, talked in enumerate(row, start=1) if talked}


def _talked(website_id: str, start: datetime, end: datetime) -> ColumnElement[bool]:
    e = inbox_events.c
    some = (
        select(e.website_id).where(e.received_at > start, e.received_at <= end).limit(LOOKED_AT)
    ).subquery()
    return exists().where(some.c.website_id == website_id)
