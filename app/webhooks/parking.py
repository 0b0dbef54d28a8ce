"""Hooks of websites that do not take any now: nobody's, not yet imported, paused, uninstalled.

They wait as `parked`. Those of a website that takes hooks again go back into the inbox; those of a
website that nobody knows are dropped after a day (FAILURES case 19).
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.session import Database
from app.webhooks.tables import IS_KEPT, inbox_events
from app.websites.rules import find_rules, lock_website

NOBODYS_FOR = timedelta(hours=24)
CHUNK = 2_000


async def look_at_parked(db: Database) -> int:
    """Put back what can be applied now and drop what is nobody's; how many were put back."""
    async with db.read() as connection:
        websites = await _find_websites(connection)
    back = 0
    for website_id in websites:
        while moved := await db.transact(partial(_look, website_id)):
            back += moved
    return back


async def _find_websites(connection: AsyncConnection) -> list[str]:
    """One index lookup for each website, however many hooks are parked."""
    found: list[str] = []
    while True:
        next_id = await connection.scalar(
            select(inbox_events.c.website_id)
            .where(
                IS_KEPT,
                inbox_events.c.state == "parked",
                inbox_events.c.website_id > (found[-1] if found else ""),
            )
            .order_by(inbox_events.c.website_id)
            .limit(1)
        )
        if next_id is None:
            return found
        found.append(next_id)


async def _look(website_id: str, connection: AsyncConnection) -> int:
    await lock_website(connection, website_id)
    rules = await find_rules(connection, website_id)
    if rules is None:
        await _drop(connection, website_id)
        return 0
    if not rules.applies_hooks:
        return 0
    return await _put_back(connection, website_id)


async def _put_back(connection: AsyncConnection, website_id: str) -> int:
    oldest = (
        select(inbox_events.c.id)
        .where(
            IS_KEPT,
            inbox_events.c.state == "parked",
            inbox_events.c.website_id == website_id,
        )
        .order_by(inbox_events.c.received_at)
        .limit(CHUNK)
    )
    back = await connection.execute(
        update(inbox_events)
        .where(inbox_events.c.id.in_(oldest))
        .values(state="new", error=None)
        .returning(inbox_events.c.id)
    )
    return len(back.all())


async def _drop(connection: AsyncConnection, website_id: str) -> None:
    await connection.execute(
        update(inbox_events)
        .where(
            IS_KEPT,
            inbox_events.c.state == "parked",
            inbox_events.c.website_id == website_id,
            inbox_events.c.received_at < clock.now() - NOBODYS_FOR,
        )
        .values(
            state="ignored",
            body=None,
            done_at=clock.now(),
            error="Nobody connected this website within 24 hours.",
        )
    )
