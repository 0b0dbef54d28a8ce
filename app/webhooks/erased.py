"""Raw hooks that name somebody who was erased lose their body (SPEC P6); that they came stays known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.erased import (
    Hasher,
    Identity,
    erased_of,
    find_hasher,
    identities_in,
    identities_of_text,
)
from app.crisp.payloads import Unreadable, parse
from app.db.base import StoredRow
from app.db.one_of import is_one_of
from app.db.session import Database
from app.db.upsert import lock_key
from app.webhooks.tables import inbox_events

CHUNK = 1_000
NOT_KEPT = "It named somebody who was erased; its body was not kept."
_TOKEN = re.compile(r"[^\s\"'`,;:<>{}\[\]()\\=]+")
_e = inbox_events.c


async def forget_bodies(
    connection: AsyncConnection, website_id: str | None, rows: Sequence[StoredRow]
) -> int:
    """Of these hooks; what waited to be applied is not applied any more. How many."""
    hasher = await find_hasher(connection, website_id) if website_id else None
    return 0 if hasher is None else await _forget(connection, hasher, rows)


async def sweep_hooks(db: Database, website_id: str) -> int:
    """Look through every raw hook of the website, and those that are nobody's; how many lost their body."""
    swept, after = 0, ""
    while True:
        found, last = await db.transact(partial(_sweep, website_id=website_id, after=after))
        swept += found
        if last is None:
            return swept
        after = last


async def _sweep(
    connection: AsyncConnection, website_id: str, after: str
) -> tuple[int, str | None]:
    # Whoever applies hooks reads a body and writes its fate under the same lock.
    await lock_key(connection, f"website {website_id}")
    hasher = await find_hasher(connection, website_id)
    if hasher is None:
        return 0, None
    found = await connection.execute(
        select(_e.id, _e.body)
        .where(
            _e.id > after,
            or_(_e.website_id == website_id, _e.website_id.is_(None)),
            _e.body.is_not(None),
        )
        .order_by(_e.id)
        .limit(CHUNK)
    )
    rows = found.all()
    swept = await _forget(connection, hasher, rows)
    return swept, rows[-1].id if len(rows) == CHUNK else None


async def _forget(connection: AsyncConnection, hasher: Hasher, rows: Sequence[StoredRow]) -> int:
    named = {row.id: set(identities_of_body(row.body)) for row in rows if row.body is not None}
    erased = await erased_of(connection, hasher, set().union(*named.values()))
    ids = sorted(event_id for event_id, identities in named.items() if identities & erased)
    if ids:
        await connection.execute(
            update(inbox_events)
            .where(is_one_of(_e.id, ids))
            .values(
                body=None,
                error=NOT_KEPT,
                state=case((_e.state == "done", _e.state), else_="ignored"),
            )
        )
    return len(ids)


def identities_of_body(body: bytes) -> Iterator[Identity]:
    """Of a body that is no JSON, of each of its words."""
    try:
        yield from identities_in(parse(body))
    except Unreadable:
        for token in _TOKEN.findall(body.decode("utf-8", "replace")):
            yield from identities_of_text(token)


def readable_body(body: bytes) -> Any:
    """As JSON, or as text when it is none."""
    try:
        return parse(body)
    except Unreadable:
        return body.decode("utf-8", "replace")
