"""Keeping what each thread tells up to date for what changed, from the change feed (SPEC V8).

Nothing is added to the writing of a message: afterwards, every few seconds, the conversations whose
messages changed are read once. Readers look at these themselves until then (app/insights/read.py),
so no figure is ever older than the rows it is made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.db.base import StoredRow
from app.db.changes import change_batches, change_counters, keys_in
from app.db.one_of import is_one_of
from app.db.session import Database
from app.db.turns import take_turn
from app.db.upsert import Row, insert_for, upsert
from app.insights.tables import thread_facts, thread_facts_places
from app.insights.thread import Span, ThreadFacts, facts_of
from app.insights.threads import read_said
from app.looking import look_again
from app.websites.business_hours import BusinessHours, read_hours
from app.websites.tables import websites

EVERY = 10.0
REST = 1.0
BATCHES, THREADS = 5, 200
"""At once: batches of the feed, or threads of a website whose facts are made anew."""
MOST_UNREAD = 100
"""Batches of the feed that a reader looks through for what changed since."""
_KEY = ("website_id", "conversation_id")
_places, _counters, _batches = thread_facts_places.c, change_counters.c, change_batches.c
_theirs = _places.website_id == _counters.website_id


@dataclass(frozen=True, slots=True)
class Place:
    """A website that has something to do: how far its facts are, and the hours they are to be made by.

    `number` is None where there are none yet.
    """

    website_id: str
    number: int | None
    rebuilt_to: str | None
    hours: BusinessHours
    begins_anew: bool
    last: int


async def keep_facts(db: Database, usual_hours: str, stopping: asyncio.Event) -> None:
    async def look() -> None:
        if await take_turn(db, "thread facts", EVERY):
            await catch_up(db, usual_hours, stopping, rest=REST)

    await look_again(look, "facts", EVERY, stopping)


async def catch_up(
    db: Database, usual_hours: str, stopping: asyncio.Event | None = None, *, rest: float = 0.0
) -> None:
    """Until each website's facts tell what its threads do, or it is stopped.

    `rest`: how many times as long as it worked it lets others work.
    """
    while behind := await _websites_behind(db, usual_hours):
        for place in behind:  # in turns: one that has much to do keeps no other waiting
            if stopping is not None and stopping.is_set():
                return
            began = time.monotonic()
            await _step(db, place)
            await asyncio.sleep(rest * (time.monotonic() - began))


async def _websites_behind(db: Database, usual_hours: str) -> list[Place]:
    w = websites.c
    query = (
        select(w.id, w.time_zone, w.business_hours, _counters.last, _counters.dropped,
               _places.number, _places.hours, _places.rebuilt_to)
        .select_from(
            change_counters.join(websites, w.id == _counters.website_id)
            .outerjoin(thread_facts_places, _theirs)
        )
        .order_by(w.id)
    )  # fmt: skip
    async with db.read() as connection:
        rows = (await connection.execute(query)).all()
    places = [_place(row, usual_hours) for row in rows]
    return [
        one
        for one in places
        if one.begins_anew or one.rebuilt_to is not None or one.number != one.last
    ]


def _place(row: StoredRow, usual_hours: str) -> Place:
    hours = read_hours(row.business_hours or usual_hours, row.time_zone)
    # What changed since is not known any more, or is told by other hours.
    begins_anew = (
        row.number is None or not row.dropped <= row.number <= row.last or row.hours != hours.key
    )
    return Place(row.id, row.number, row.rebuilt_to, hours, begins_anew, row.last)


async def _step(db: Database, place: Place) -> None:
    """One part of what is left to do for a website; nothing when another process did it meanwhile."""
    if place.begins_anew:
        await db.transact(partial(_begin_anew, place=place))
        return
    async with db.read() as connection:
        to: dict[str, object]
        if place.rebuilt_to is not None:
            ids = await _next_threads(connection, place.website_id, place.rebuilt_to)
            to = {"rebuilt_to": ids[-1] if ids else None}
        else:
            number, ids = await _next_changed(connection, place)
            to = {"number": number}
        # After the feed: what is committed in between comes again.
        rows = await _facts(connection, place, ids)
    with contextlib.suppress(IntegrityError):  # one of them was erased meanwhile: once more
        await db.transact(partial(_save, place=place, to=to, rows=rows))


async def _begin_anew(connection: AsyncConnection, place: Place) -> None:
    values = {"number": place.last, "hours": place.hours.key, "rebuilt_to": ""}
    new = insert_for(connection, thread_facts_places)
    await connection.execute(
        new.values(website_id=place.website_id, **values).on_conflict_do_update(
            index_elements=["website_id"], set_=values, where=_places.number == place.number
        )
    )


async def _next_threads(connection: AsyncConnection, website_id: str, after: str) -> list[str]:
    c = conversations.c
    found = await connection.scalars(
        select(c.id).where(c.website_id == website_id, c.id > after).order_by(c.id).limit(THREADS)
    )
    return list(found)


async def _next_changed(connection: AsyncConnection, place: Place) -> tuple[int, list[str]]:
    """Up to which number, and the conversations whose messages changed until there."""
    rows = await connection.execute(
        select(_batches.number, _batches.kind, _batches.ids)
        .where(_batches.website_id == place.website_id, _batches.number > place.number)
        .order_by(_batches.number)
        .limit(BATCHES)
    )
    number, changed = place.number or 0, set[str]()
    for row in rows:
        if row.number != number + 1:  # dropped a moment ago: the next look begins anew
            break
        number = row.number
        changed |= _threads_in(row)
    return number, sorted(changed)


def _threads_in(batch: StoredRow) -> set[str]:
    """A conversation's own change may be one of its state, which ends a wait or begins it again."""
    if batch.kind == "message":
        return {conversation_id for conversation_id, _ in keys_in(batch.kind, batch.ids)}
    return set(batch.ids) if batch.kind == "conversation" else set()


async def read_changed(
    connection: AsyncConnection, website_id: str, hours: BusinessHours | None = None
) -> set[str] | None:
    """The conversations whose facts are older than their messages; None when all may be. One statement.

    What is dropped from the feed before it was read makes all of them old, as do other `hours` (without
    them: no matter by which), and much at once.
    """
    newer = and_(
        _batches.website_id == _places.website_id,
        _batches.number > _places.number,
        _batches.kind.in_(("message", "conversation")),
    )
    query = (
        select(
            _places.number, _places.hours, _places.rebuilt_to, _counters.dropped,
            _batches.kind, _batches.ids,
        )
        .select_from(
            thread_facts_places.join(change_counters, _theirs).outerjoin(change_batches, newer)
        )
        .where(_places.website_id == website_id)
        .limit(MOST_UNREAD + 1)
    )  # fmt: skip
    rows = (await connection.execute(query)).all()
    if not rows or len(rows) > MOST_UNREAD:
        return None
    place = rows[0]
    if place.rebuilt_to is not None or place.number < place.dropped:
        return None
    if hours is not None and place.hours != hours.key:
        return None
    return {one for row in rows for one in _threads_in(row)}


async def _facts(connection: AsyncConnection, place: Place, ids: Sequence[str]) -> list[Row]:
    """Of those that are there; of one in which nothing counts, that nothing does."""
    if not ids:
        return []
    c = conversations.c
    these: tuple[ColumnElement[bool], ...] = (
        c.website_id == place.website_id,
        is_one_of(c.id, ids),
    )
    found = await connection.execute(
        select(c.id, c.status, c.deleted_at).where(*these).order_by(c.id)
    )
    there = found.all()
    said = await read_said(connection, *these, by_new_names=False)
    return [_row(place, one, facts_of(said.get(one.id, ()), place.hours)) for one in there]


def _row(place: Place, talk: StoredRow, facts: ThreadFacts) -> Row:
    response, resolution = facts.first_response, facts.resolution
    waits = talk.status != "resolved" and talk.deleted_at is None
    return {
        "website_id": place.website_id,
        "conversation_id": talk.id,
        "first_inbound_at": facts.first_inbound_at,
        "response_s": response and response.seconds,
        "response_business_s": response and response.business_seconds,
        "resolution_s": resolution and resolution.seconds,
        "resolution_business_s": resolution and resolution.business_seconds,
        "responder_id": facts.responder_id,
        "responder": facts.responder,
        "reopenings": facts.reopenings,
        "last_state": facts.last_state,
        "unanswered_since": facts.unanswered_since,
        "waiting_since": facts.unanswered_since if waits else None,
        "last_contact_at": facts.last_contact_at,
    }


_f = thread_facts.c
FACTS = (
    _f.first_inbound_at, _f.response_s, _f.response_business_s, _f.responder_id, _f.responder,
    _f.resolution_s, _f.resolution_business_s, _f.reopenings, _f.last_state, _f.unanswered_since,
    _f.last_contact_at,
)  # fmt: skip
"""What `read_facts` reads."""


def read_facts(values: Sequence[Any], responder: str | None) -> ThreadFacts:
    """From the values of FACTS; `responder` by the name of now, None where that is not known."""
    # By place: of thousands of rows, asking each by the names of its columns takes half of the time.
    inbound, to_answer, open_to_answer, by_id, by, to_end, open_to_end, *rest = values
    response, resolution = _span(to_answer, open_to_answer), _span(to_end, open_to_end)
    name = by if responder is None else responder
    return ThreadFacts(inbound, response, by_id, name, resolution, *rest)


def _span(seconds: int | None, business_seconds: int | None) -> Span | None:
    if seconds is None or business_seconds is None:
        return None
    return Span(seconds, business_seconds)


async def _save(
    connection: AsyncConnection, place: Place, to: dict[str, object], rows: Sequence[Row]
) -> None:
    moved = await connection.execute(
        thread_facts_places.update()
        .where(
            _places.website_id == place.website_id,
            _places.number == place.number,
            _places.rebuilt_to.is_not_distinct_from(place.rebuilt_to),
        )
        .values(**to)
    )
    if moved.rowcount:
        names = tuple(rows[0])[len(_KEY) :] if rows else ()
        await upsert(connection, thread_facts, rows, key=_KEY, update=names)
