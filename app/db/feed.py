"""Reading the change feed of several websites from a place in it, and forgetting what is old."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import StoredRow
from app.db.changes import Key, change_batches, change_counters, keys_in
from app.errors import CrispsyncError

_b, _c = change_batches.c, change_counters.c
BATCHES_AT_ONCE = 200


class ChangesDropped(CrispsyncError):
    """The place in the feed is older than what is kept."""

    http_status = 410
    exit_code = 2


class Place(NamedTuple):
    """All batches up to `number` were read, and `done` keys of the next one."""

    number: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    website_id: str
    kind: str
    key: Key
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ReadOn:
    """Some changes, where each website's reading goes on, and whether there is more to read now."""

    changes: list[Change]
    places: dict[str, Place]
    more: bool


async def newest_places(
    connection: AsyncConnection, website_ids: Collection[str]
) -> dict[str, Place]:
    """Behind everything that was committed so far."""
    rows = await _counters(connection, website_ids)
    return {website_id: Place(row.last) for website_id, row in rows.items()}


async def read_changes(
    connection: AsyncConnection,
    website_ids: Collection[str],
    places: Mapping[str, Place],
    limit: int,
    *,
    turn: str = "",
) -> ReadOn:
    """At most `limit` changes, each website's in its order; websites share, beginning after `turn`.

    A website without a place is read from the oldest change kept. Raises ChangesDropped.
    """
    counters = await _counters(connection, website_ids)
    now = {w: places.get(w, Place(row.dropped)) for w, row in counters.items()}
    for website_id, place in now.items():
        if place.number < counters[website_id].dropped or place.number > counters[website_id].last:
            raise _dropped()
    behind = sorted(w for w, place in now.items() if counters[w].last > place.number)
    behind = [w for w in behind if w > turn] + [w for w in behind if w <= turn]
    share = max(1, limit // len(behind)) if behind else limit
    found: list[Change] = []
    for website_id in behind:
        room = min(share, limit - len(found)) if website_id != behind[-1] else limit - len(found)
        if room > 0:
            some, now[website_id] = await _read(connection, website_id, now[website_id], room)
            found += some
    more = any(counters[w].last > now[w].number for w in behind)
    return ReadOn(found, now, more)


def _dropped() -> ChangesDropped:
    return ChangesDropped(
        "This cursor is older than the changes that are kept. Take a new one "
        "(GET /api/v1/changes?since=now), read the lists once more, then go on with it."
    )


async def _counters(
    connection: AsyncConnection, website_ids: Collection[str]
) -> dict[str, StoredRow]:
    rows = await connection.execute(
        select(change_counters).where(_c.website_id.in_(sorted(website_ids)))
    )
    return {row.website_id: row for row in rows}


async def _read(
    connection: AsyncConnection, website_id: str, place: Place, room: int
) -> tuple[list[Change], Place]:
    rows = await connection.execute(
        select(_b.number, _b.kind, _b.ids, _b.changed_at)
        .where(_b.website_id == website_id, _b.number > place.number)
        .order_by(_b.number)
        .limit(min(room, BATCHES_AT_ONCE))
    )
    found: list[Change] = []
    for row in rows:
        # Numbers have no gaps, so one that is missing was dropped a moment ago.
        if row.number != place.number + 1:
            raise _dropped()
        keys = keys_in(row.kind, row.ids)
        taken = keys[place.done : place.done + room - len(found)]
        found += [Change(website_id, row.kind, key, row.changed_at) for key in taken]
        done = place.done + len(taken)
        place = Place(row.number) if done == len(keys) else Place(place.number, done)
        if len(found) == room:
            break
    return found, place


async def drop_changes(connection: AsyncConnection, before: datetime) -> int:
    """Forget the batches of before that time; how many."""
    newest = await connection.execute(
        select(_b.website_id, func.max(_b.number).label("number"))
        .where(_b.changed_at < before)
        .group_by(_b.website_id)
        .order_by(_b.website_id)
    )
    dropped = 0
    for row in newest.all():
        mine = _c.website_id == row.website_id
        await connection.execute(
            update(change_counters).where(mine, _c.dropped < row.number).values(dropped=row.number)
        )
        gone = await connection.execute(
            delete(change_batches).where(_b.website_id == row.website_id, _b.number <= row.number)
        )
        dropped += gone.rowcount
    return dropped
