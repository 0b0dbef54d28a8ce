"""Reading what waits in the inbox, and reading ahead while what stands before it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.crisp.hook_events import Unusable
from app.db.base import StoredRow
from app.db.one_of import is_one_of
from app.db.session import Database
from app.webhooks.fold import Meaning, interpret
from app.webhooks.tables import IS_NEW, inbox_events

BATCH_BYTES = 8_000_000
"""A thousand bodies of the largest size would be a gigabyte at once; usual ones take 1.5 KB."""
AT_ONCE = 50
"""Hooks between two looks at what else is to be done: about five milliseconds."""
_READ = ("id", "website_id", "event", "received_at", "body", "emitted_ms", "first_attempt")


class Waiting(NamedTuple):
    """A hook of the inbox and what it means, or why it never will."""

    row: StoredRow
    meaning: Meaning | Unusable


Ahead = Mapping[str, Waiting]
"""By id, what was read before its turn. The bodies of an id never change; whether it still waits may."""


async def find_waiting(connection: AsyncConnection) -> list[str | None]:
    """The websites of which hooks wait. One index lookup for each, however many hooks they have."""
    found: list[str | None] = []
    last = ""
    while True:
        next_id = await connection.scalar(
            select(inbox_events.c.website_id)
            .where(IS_NEW, inbox_events.c.website_id > last)
            .order_by(inbox_events.c.website_id)
            .limit(1)
        )
        if next_id is None:
            break
        found.append(next_id)
        last = next_id
    nobodys = select(inbox_events.c.id).where(IS_NEW, inbox_events.c.website_id.is_(None)).limit(1)
    if await connection.scalar(nobodys) is not None:
        found.append(None)
    return found


async def read_oldest(
    connection: AsyncConnection, website_id: str | None, most: int, ahead: Ahead
) -> Sequence[Waiting]:
    """The oldest hooks of a website that wait, at most so many or BATCH_BYTES, as the caller's lock sees it."""
    ids = await _oldest(connection, website_id, most, skip=0)
    found = dict(ahead) | {
        row.id: Waiting(row, meaning_of(row))
        for row in await _rows(connection, [own_id for own_id in ids if own_id not in ahead])
    }
    return [found[own_id] for own_id in ids]


async def read_ahead(db: Database, website_id: str | None, most: int, skip: int) -> Ahead:
    """What comes after the first `skip` of the website. Others get their turn every AT_ONCE hooks."""
    async with db.read() as connection:
        ids = await _oldest(connection, website_id, most, skip)
        rows = await _rows(connection, ids)
    found: dict[str, Waiting] = {}
    for number, row in enumerate(rows):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        found[row.id] = Waiting(row, meaning_of(row))
    return found


def meaning_of(row: StoredRow) -> Meaning | Unusable:
    try:
        return interpret(row)
    except Unusable as error:
        return error


async def _oldest(
    connection: AsyncConnection, website_id: str | None, most: int, skip: int
) -> list[str]:
    whose = (
        inbox_events.c.website_id == website_id
        if website_id is not None
        else inbox_events.c.website_id.is_(None)
    )
    sizes = await connection.execute(
        select(inbox_events.c.id, func.length(inbox_events.c.body).label("bytes"))
        .where(IS_NEW, whose)
        .order_by(inbox_events.c.received_at, inbox_events.c.id)
        .limit(most)
        .offset(skip)
    )
    return _as_many_as_fit(sizes)


async def _rows(connection: AsyncConnection, ids: Sequence[str]) -> Sequence[StoredRow]:
    if not ids:
        return []
    columns = [inbox_events.c[name] for name in _READ]
    return (
        await connection.execute(select(*columns).where(is_one_of(inbox_events.c.id, ids)))
    ).all()


def _as_many_as_fit(sizes: Iterable[StoredRow]) -> list[str]:
    """The ids of the first ones whose bodies take BATCH_BYTES together, and of one at least."""
    chosen: list[str] = []
    total = 0
    for event_id, size in sizes:
        total += size or 0
        if chosen and total > BATCH_BYTES:
            break
        chosen.append(event_id)
    return chosen
