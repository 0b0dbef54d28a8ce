"""Reading how web hooks arrive: per event name, what waits, what was refused, what was missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, TextClause, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import AnySelect, StoredRow
from app.webhooks.health import percentile
from app.webhooks.tables import IS_KEPT, IS_NEW, hook_days, hook_refusals, inbox_events
from app.websites.tables import missed_hooks, websites

DAYS = 7
COUNTED_AT_MOST = 10_000
"""Rows of one state are counted up to here: a page must not walk through a million of them."""
COUNTED_EVERYWHERE = 1_000
"""And up to here for the number that every page shows."""


@dataclass(frozen=True, slots=True)
class EventFigures:
    """One event name over the last days; delays from received to applied, in ms."""

    event: str
    arrived: int
    ignored: int
    dead: int
    repeated_first: int
    last_received_at: datetime
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not dealt with; each number is at most COUNTED_AT_MOST."""

    waiting: int
    oldest_waiting_at: datetime | None
    parked: int
    dead: int


def first_day(days: int = DAYS) -> str:
    """The first of the last `days` UTC days, today among them, as 2026-11-23."""
    return (clock.now() - timedelta(days=days - 1)).date().isoformat()


async def event_figures(connection: AsyncConnection, website_id: str) -> list[EventFigures]:
    """By event name; `website_id` "" for hooks that are nobody's."""
    return figures_of_days((await connection.execute(days_query(website_id))).all())


def days_query(website_id: str | None) -> AnySelect:
    """None: of whichever website, and of what is nobody's."""
    d = hook_days.c
    query = select(hook_days).where(d.day >= first_day()).order_by(d.event, d.day)
    return query if website_id is None else query.where(d.website_id == website_id)


def figures_of_days(rows: Iterable[StoredRow]) -> list[EventFigures]:
    """Of the rows of `days_query`."""
    days: dict[str, list[StoredRow]] = {}
    for row in rows:
        days.setdefault(row.event, []).append(row)
    return [_figures(event, of_it) for event, of_it in days.items()]


def _figures(event: str, days: Sequence[StoredRow]) -> EventFigures:
    delays: Counter[str] = Counter()
    for day in days:
        delays.update(day.delays)
    return EventFigures(
        event=event,
        arrived=sum(day.arrived for day in days),
        ignored=sum(day.ignored for day in days),
        dead=sum(day.dead for day in days),
        repeated_first=sum(day.repeated_first for day in days),
        last_received_at=max(day.last_received_at for day in days),
        p50_ms=percentile(delays, 0.50),
        p95_ms=percentile(delays, 0.95),
    )


async def refusals(connection: AsyncConnection) -> Sequence[StoredRow]:
    """(cause, refused, last_at) of all deliveries that were refused, newest first (SPEC P3)."""
    return (await connection.execute(refusals_query())).all()


def refusals_query() -> AnySelect:
    r = hook_refusals.c
    return select(r.cause, r.refused, r.last_at).order_by(r.last_at.desc(), r.cause)


async def missed_per_day(connection: AsyncConnection, website_id: str) -> Sequence[StoredRow]:
    """(day, kind, missed) of the last 14 days, newest first."""
    return (await connection.execute(missed_query(website_id))).all()


def missed_query(website_id: str) -> AnySelect:
    m = missed_hooks.c
    return (
        select(m.day, m.kind, m.missed)
        .where(m.website_id == website_id, m.day >= first_day(14))
        .order_by(m.day.desc(), m.kind)
    )


async def last_received(connection: AsyncConnection, website_id: str) -> datetime | None:
    """When a hook of this website last arrived, whether it is dealt with or waits or is parked."""
    return last_of((await connection.execute(last_query(website_id))).one())


def last_query(website_id: str) -> AnySelect:
    """One row, for `last_of`."""
    counted = select(
        func.max(hook_days.c.last_received_at, type_=hook_days.c.last_received_at.type)
    ).where(hook_days.c.website_id == website_id)
    return select(
        counted.scalar_subquery().label("counted"),
        _newest("new", IS_NEW, website_id).scalar_subquery().label("new"),
        _newest("parked", IS_KEPT, website_id).scalar_subquery().label("parked"),
    )


def last_of(row: StoredRow) -> datetime | None:
    moments = (row.counted, row.new, row.parked)
    return max((moment for moment in moments if moment is not None), default=None)


def _newest(state: str, indexed: TextClause, website_id: str) -> Select[datetime]:
    e = inbox_events.c
    query = select(e.received_at).where(indexed, e.state == state, e.website_id == website_id)
    return query.order_by(e.received_at.desc()).limit(1)


async def last_received_of_all(connection: AsyncConnection) -> datetime | None:
    """When any hook last arrived."""
    moment = inbox_events.c.received_at
    found: datetime | None = await connection.scalar(
        select(moment).order_by(moment.desc()).limit(1)
    )
    return found


async def backlog(connection: AsyncConnection, website_id: str) -> Backlog:
    """Of one website; parked and dead ones that are nobody's are among them, as in every list."""
    return backlog_of((await connection.execute(backlog_query(website_id))).one())


def backlog_query(website_id: str) -> AnySelect:
    """One row, for `backlog_of`."""
    waiting = _waiting(website_id)
    return select(
        _counted(waiting, COUNTED_AT_MOST).label("waiting"),
        waiting.limit(1).scalar_subquery().label("oldest_waiting_at"),
        _kept_of("parked", website_id, COUNTED_AT_MOST).label("parked"),
        _kept_of("dead", website_id, COUNTED_AT_MOST).label("dead"),
    )


def backlog_of(row: StoredRow) -> Backlog:
    parked, dead = min(row.parked, COUNTED_AT_MOST), min(row.dead, COUNTED_AT_MOST)
    return Backlog(row.waiting, row.oldest_waiting_at, parked, dead)


async def backlog_of_all(connection: AsyncConnection) -> Backlog:
    query = select(
        _counted(select(inbox_events.c.received_at).where(IS_NEW), COUNTED_AT_MOST).label(
            "waiting"
        ),
        _oldest_waiting().scalar_subquery().label("oldest_waiting_at"),
        _counted(_kept("parked"), COUNTED_AT_MOST).label("parked"),
        _counted(_kept("dead"), COUNTED_AT_MOST).label("dead"),
    )
    return backlog_of((await connection.execute(query)).one())


async def count_dead(
    connection: AsyncConnection, website_id: str, at_most: int = COUNTED_EVERYWHERE
) -> int:
    """Dead letters of this website and nobody's."""
    found = await connection.scalar(dead_query(website_id, at_most))
    return min(int(found or 0), at_most)


def dead_query(website_id: str, at_most: int = COUNTED_EVERYWHERE) -> AnySelect:
    """`dead`: each of the two kinds counted up to `at_most`."""
    return select(_kept_of("dead", website_id, at_most).label("dead"))


def _oldest_waiting() -> Select[datetime]:
    """One look into the index for each website, not one for each of what may be a million rows."""
    e = inbox_events.c
    oldest = func.min(e.received_at, type_=e.received_at.type)
    per_website = select(
        select(oldest)
        .where(IS_NEW, e.website_id == websites.c.id)
        .correlate(websites)
        .scalar_subquery()
        .label("oldest")
    ).subquery()
    return select(func.min(per_website.c.oldest, type_=e.received_at.type))


def _waiting(website_id: str) -> Select[datetime]:
    moment = inbox_events.c.received_at
    return select(moment).where(IS_NEW, inbox_events.c.website_id == website_id).order_by(moment)


def _kept(state: str) -> Select[datetime]:
    return select(inbox_events.c.received_at).where(IS_KEPT, inbox_events.c.state == state)


def _kept_of(state: str, website_id: str, at_most: int) -> ColumnElement[int]:
    of = inbox_events.c.website_id
    own = _counted(_kept(state).where(of == website_id), at_most)
    return own + _counted(_kept(state).where(of.is_(None)), at_most)


def is_of(column: ColumnElement[Any], website_id: str) -> ColumnElement[bool]:
    """Of this website, or nobody's: of which no website could be read."""
    return (column == website_id) | column.is_(None)


def _counted(rows: Select[datetime], at_most: int) -> ScalarSelect[int]:
    some = rows.limit(at_most).subquery()
    return select(func.count()).select_from(some).scalar_subquery()
