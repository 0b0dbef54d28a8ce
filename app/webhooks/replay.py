"""Putting events back to be applied again.

Harmless by construction: what they bring is compared with the versions of what is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.accounts.audit import audit
from app.db.session import Database
from app.webhooks.hook_figures import is_of
from app.webhooks.letters import Filter, Place, State, chosen, nearest, walk
from app.webhooks.tables import inbox_events

REPLAYABLE: tuple[State, ...] = ("dead", "parked", "ignored", "done")
AT_ONCE = 1_000
"""Rows of one transaction: a million in one would hold up whoever applies and whoever takes hooks."""

_e = inbox_events.c
_BACK = {"state": "new", "attempts": 0, "error": None, "done_at": None}


@dataclass(frozen=True, slots=True)
class Replayed:
    """`put_back` will be applied again; `without_body` fitted too, but nothing of them is left to apply."""

    put_back: int = 0
    without_body: int = 0

    def plus(self, other: Replayed) -> Replayed:
        return Replayed(self.put_back + other.put_back, self.without_body + other.without_body)


async def replay_one(
    db: Database, event_id: str, website_id: str | None = None, actor: Actor | None = None
) -> Replayed:
    """Nothing is put back when there is none of that id, or when it waits already."""
    return await db.transact(
        partial(_replay_one, event_id=event_id, website_id=website_id, actor=actor)
    )


async def replay_matching(db: Database, wanted: Filter, actor: Actor | None = None) -> Replayed:
    """Every event of the filter that does not wait already, newest first, each looked at once.

    No state in the filter means all but new ones. In transactions of AT_ONCE rows: when it fails on
    the way, what was put back stays so, and doing it again does the rest. Raises DatabaseAway.
    """
    states = tuple(state for state in wanted.states or REPLAYABLE if state in REPLAYABLE)
    wanted = replace(wanted, states=states)
    total, place = Replayed(), None
    while states:
        part, place = await db.transact(
            partial(_replay_next, wanted=wanted, place=place, actor=actor)
        )
        total = total.plus(part)
        if place is None:
            break
    return total


async def _replay_one(
    connection: AsyncConnection, event_id: str, website_id: str | None, actor: Actor | None
) -> Replayed:
    shown = (_e.id, _e.body.is_not(None).label("has_body"), _e.website_id, _e.state)
    query = select(*shown).where(_e.id == event_id, _e.state.in_(REPLAYABLE))
    if website_id is not None:
        query = query.where(is_of(_e.website_id, website_id))
    rows = (await connection.execute(query)).all()
    done = await _put_back(connection, rows, REPLAYABLE)
    if actor is not None and done.put_back:
        row = rows[0]
        await audit(
            connection,
            actor,
            "event.replayed",
            website_id=row.website_id,
            subject=("event", row.id),
            before={"state": row.state},
            after={"state": "new"},
        )
    return done


async def _replay_next(
    connection: AsyncConnection, wanted: Filter, place: Place | None, actor: Actor | None
) -> tuple[Replayed, Place | None]:
    way = walk(wanted, place, AT_ONCE)
    # One website's own range of the index is shorter than the whole inbox.
    if wanted.website_id is not None:
        way = nearest(wanted, place, AT_ONCE)
    seen = way.subquery()
    query = select(seen.c.id, seen.c.has_body).where(*chosen(wanted, seen.c))
    rows = (await connection.execute(query)).all()
    last = (await connection.execute(way.limit(1).offset(AT_ONCE - 1))).first()
    replayed = await _put_back(connection, rows, wanted.states)
    if actor is not None and replayed.put_back:
        await audit(
            connection,
            actor,
            "events.replayed",
            website_id=wanted.website_id,
            before={"states": list(wanted.states), "event": wanted.event},
            after={"state": "new", "count": replayed.put_back},
        )
    return replayed, Place(last.received_at, last.id) if last else None


async def _put_back(connection: AsyncConnection, rows: Any, states: tuple[State, ...]) -> Replayed:
    ids = sorted(row.id for row in rows if row.has_body)
    if not ids:
        return Replayed(0, len(rows))
    # Somebody else may have replayed or emptied one since it was read.
    statement = (
        update(inbox_events)
        .where(_e.id.in_(ids), _e.state.in_(states), _e.body.is_not(None))
        .values(**_BACK)
    )
    done = await connection.execute(statement)
    return Replayed(done.rowcount, len(rows) - len(ids))
