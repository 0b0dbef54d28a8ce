"""Listing the events of the inbox, newest first, and one of them (SPEC V6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, TextClause, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import StoredRow
from app.webhooks.hook_figures import is_of
from app.webhooks.tables import IS_KEPT, IS_NEW, inbox_events

State = Literal["new", "done", "ignored", "parked", "dead"]
STATES: tuple[State, ...] = ("new", "done", "ignored", "parked", "dead")
LOOKED_AT = 5_000
"""Rows looked at for one page: a rare event among millions must not make a page wait."""

_KEPT = {"parked", "dead"}
Condition: TypeAlias = ColumnElement[bool] | TextClause
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
    """The first rows in that direction, narrowed only by what an index knows in that order."""
    parts = [
        _walk([*_arrived(wanted), *where], place, back).limit(limit) for where in _ranges(wanted)
    ]
    if len(parts) == 1:
        return parts[0]
    # Two walks along the index and one merge; an OR would sort all of both.
    both = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(both).order_by(*_order(both.c, back)).limit(limit)


def walk(wanted: Filter, place: Place | None, limit: int) -> Select[*tuple[Any, ...]]:
    """The next rows, newest first, whatever their state: each chunk of a long way costs the same."""
    return _walk(_arrived(wanted), place, back=False).limit(limit)


def _walk(where: list[Condition], place: Place | None, back: bool) -> Select[*tuple[Any, ...]]:
    query = select(*_LISTED).where(*where)
    if place is not None:
        here = tuple_(_e.received_at, _e.id)
        edge = tuple_(literal(place.received_at, _e.received_at.type), literal(place.id))
        query = query.where(here > edge if back else here < edge)
    return query.order_by(*_order(_e, back))


def _arrived(wanted: Filter) -> list[Condition]:
    where: list[Condition] = []
    if wanted.since is not None:
        where.append(_e.received_at >= wanted.since)
    if wanted.until is not None:
        where.append(_e.received_at < wanted.until)
    return where


def _ranges(wanted: Filter) -> list[list[Condition]]:
    """Ranges of an index in which all that is wanted lies; one without conditions is by arrival."""
    if not wanted.states or len(wanted.states) > 1:
        return [[]]
    state = wanted.states[0]
    own: list[Condition] = []
    if wanted.website_id is not None:
        own.append(_e.website_id == wanted.website_id)
    if state in _KEPT:
        kept: list[Condition] = [IS_KEPT, _e.state == state]
        nobodys = [[*kept, _e.website_id.is_(None)]] if wanted.nobodys and own else []
        return [[*kept, *own], *nobodys]
    return [[IS_NEW, *own]] if state == "new" and own else [[]]


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
