"""Listing the events of the inbox, newest first, and one of them (SPEC V6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import StoredRow
from app.webhooks.hook_figures import IS_KEPT, IS_NEW, is_of
from app.webhooks.tables import inbox_events

State = Literal["new", "done", "ignored", "parked", "dead"]
STATES: tuple[State, ...] = ("new", "done", "ignored", "parked", "dead")
LOOKED_AT = 5_000
"""Rows looked at for one page: a rare event among millions must not make a page wait."""

_KEPT = {"parked", "dead"}
_e = inbox_events.c
_LISTED = (
    _e.id, _e.website_id, _e.event, _e.state, _e.attempts, _e.deliveries, _e.error,
    _e.received_at, _e.done_at, _e.body.is_not(None).label("has_body"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events; times are of arrival, `since` is included and `until` is not.

    With `website_id` those of that website, with `nobodys` also what is of no website here.
    """

    states: tuple[State, ...] = ()
    event: str | None = None
    website_id: str | None = None
    nobodys: bool = False
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the order, from which a page goes on."""

    received_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One page. `older` may lead on from fewer rows than asked for, when the rest was not looked at."""

    rows: Sequence[StoredRow]
    older: Place | None
    newer: Place | None


async def list_events(
    connection: AsyncConnection,
    wanted: Filter,
    size: int,
    place: Place | None = None,
    *,
    back: bool = False,
) -> Listed:
    """At most `size` events older than `place`, or newer with `back`; always newest first, no bodies."""
    near = nearest(wanted, place, LOOKED_AT, back=back)
    seen = near.subquery()
    query = (
        select(seen).where(*chosen(wanted, seen.c)).order_by(*_order(seen.c, back)).limit(size + 1)
    )
    found = list((await connection.execute(query)).all())
    rows, onward = found[:size], None
    if len(found) > size:
        onward = _place(rows[-1])
    else:
        last = (await connection.execute(near.limit(1).offset(LOOKED_AT - 1))).first()
        onward = _place(last) if last else None
    if not back:
        return Listed(rows, onward, _place(rows[0]) if rows and place else place)
    return Listed(rows[::-1], _place(rows[0]) if rows else place, onward)


def nearest(
    wanted: Filter, place: Place | None, limit: int, *, back: bool = False
) -> Select[*tuple[Any, ...]]:
    """The first rows in that direction, narrowed only by what an index knows."""
    query = select(*_LISTED).where(*_indexed(wanted))
    if place is not None:
        here = tuple_(_e.received_at, _e.id)
        edge = tuple_(literal(place.received_at, _e.received_at.type), literal(place.id))
        query = query.where(here > edge if back else here < edge)
    return query.order_by(*_order(_e, back)).limit(limit)


def _indexed(wanted: Filter) -> list[ColumnElement[bool]]:
    where: list[Any] = []
    if wanted.since is not None:
        where.append(_e.received_at >= wanted.since)
    if wanted.until is not None:
        where.append(_e.received_at < wanted.until)
    if wanted.states and _KEPT.issuperset(wanted.states):
        where += [IS_KEPT, _is_in(_e.state, wanted.states)]
    elif wanted.states == ("new",) and wanted.website_id is not None:
        where += [IS_NEW, _e.website_id == wanted.website_id]
    return where


def chosen(wanted: Filter, columns: Any) -> list[ColumnElement[bool]]:
    """What a filter asks for besides times, as conditions on these columns."""
    where: list[ColumnElement[bool]] = []
    if wanted.states:
        where.append(_is_in(columns.state, wanted.states))
    if wanted.event is not None:
        where.append(columns.event == wanted.event)
    if wanted.website_id is not None:
        own = columns.website_id == wanted.website_id
        where.append(is_of(columns.website_id, wanted.website_id) if wanted.nobodys else own)
    return where


def _is_in(column: ColumnElement[str], states: Sequence[State]) -> ColumnElement[bool]:
    # One state by equality: then the index's order is the page's order.
    return column == states[0] if len(states) == 1 else column.in_(states)


def _order(columns: Any, back: bool) -> tuple[ColumnElement[Any], ...]:
    keys = (columns.received_at, columns.id)
    return keys if back else tuple(key.desc() for key in keys)


def _place(row: StoredRow) -> Place:
    return Place(row.received_at, row.id)


async def get_event(
    connection: AsyncConnection, event_id: str, website_id: str | None = None
) -> StoredRow | None:
    """The whole row with its body, of that website or nobody's; of anybody's without a website."""
    query = select(inbox_events).where(_e.id == event_id)
    if website_id is not None:
        query = query.where(is_of(_e.website_id, website_id))
    return (await connection.execute(query)).first()
