"""Dropping what has been kept for long enough (SPEC P8); each step is a bounded transaction.

Of a raw hook its body goes and its hash stays: a late duplicate is still known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import SYSTEM
from app.conversations.expiry import drop_texts, find_old_threads
from app.db.session import Database
from app.db.upsert import insert_for
from app.imports.tables import imports
from app.privacy.tables import purges
from app.privacy.uploads import AT_WORK, drop_strays, drop_upload
from app.privacy.website import erase_website
from app.settings import Settings
from app.webhooks.tables import IS_NEW, inbox_events
from app.websites.rules import find_rules, lock_website
from app.websites.tables import websites

log = structlog.get_logger(__name__)

AT_ONCE = 1_000
THREADS_AT_ONCE = 200
KEPT_LONG_ENOUGH = "Its body was dropped: raw hooks are kept for a time only."
_e = inbox_events.c
Purge = Callable[[Database, Settings, datetime], Awaitable[int]]


async def purge(db: Database, settings: Settings) -> dict[str, int]:
    """How many of each kind were dropped; nothing of a kind whose days are 0."""
    steps: dict[str, tuple[int, Purge]] = {
        "raw hooks": (settings.raw_hook_days, _hooks),
        "uploads": (settings.upload_days, _uploads),
        "uninstalled websites": (settings.uninstalled_days, _uninstalled),
    }
    dropped = {
        kind: await step(db, settings, clock.now() - timedelta(days=days))
        for kind, (days, step) in steps.items()
        if days
    }
    if strays := await drop_strays(db, settings.uploads_folder):
        log.info("privacy.strays", count=strays)
    texts = await _texts(db)
    if texts is not None:
        dropped["texts of messages"] = texts
    for kind, count in dropped.items():
        await db.transact(partial(_note, kind=kind, dropped=count))
        if count:
            log.info("privacy.purged", kind=kind, count=count)
    return dropped


async def _note(connection: AsyncConnection, kind: str, dropped: int) -> None:
    row = {"at": clock.now(), "dropped": dropped}
    statement = insert_for(connection, purges).values(kind=kind, **row)
    await connection.execute(statement.on_conflict_do_update(index_elements=["kind"], set_=row))


async def _hooks(db: Database, _settings: Settings, before: datetime) -> int:
    """From where the last purge ended: rows without a body are not walked through again."""
    async with db.read() as connection:
        after = await connection.scalar(select(purges.c.upto).where(purges.c.kind == "raw hooks"))
    total = 0
    while True:
        found, after = await db.transact(partial(_some_hooks, after=after, before=before))
        total += found
        if found < AT_ONCE:
            break
    await db.transact(partial(_hooks_done, before=before))
    return total


async def _some_hooks(
    connection: AsyncConnection, after: datetime | None, before: datetime
) -> tuple[int, datetime | None]:
    """What still waits to be applied stays, however old: it says what nobody has read yet."""
    since = [_e.received_at >= after] if after is not None else []
    oldest = await connection.execute(
        select(_e.id, _e.received_at)
        .where(_e.received_at < before, *since, _e.body.is_not(None), _e.state != "new")
        .order_by(_e.received_at)
        .limit(AT_ONCE)
    )
    rows = oldest.all()
    if rows:
        await connection.execute(
            update(inbox_events)
            .where(_e.id.in_([row.id for row in rows]))
            .values(
                body=None,
                error=case((_e.state == "parked", KEPT_LONG_ENOUGH), else_=_e.error),
                state=case((_e.state == "parked", "ignored"), else_=_e.state),
            )
        )
    return len(rows), rows[-1].received_at if rows else after


async def _hooks_done(connection: AsyncConnection, before: datetime) -> None:
    waiting = await connection.scalar(
        select(func.min(_e.received_at)).where(IS_NEW, _e.received_at < before)
    )
    row = {"at": clock.now(), "dropped": 0, "upto": waiting or before}
    statement = insert_for(connection, purges).values(kind="raw hooks", **row)
    await connection.execute(statement.on_conflict_do_update(index_elements=["kind"], set_=row))


async def _uploads(db: Database, settings: Settings, before: datetime) -> int:
    async with db.read() as connection:
        found = await connection.execute(
            select(imports).where(
                imports.c.file.is_not(None),
                imports.c.created_at < before,
                imports.c.state.not_in(AT_WORK),
            )
        )
        rows = found.all()
    for row in rows:
        await drop_upload(
            db, settings.uploads_folder, row, "Its file is kept no longer: upload it again."
        )
    return len(rows)


async def _uninstalled(db: Database, settings: Settings, before: datetime) -> int:
    """Everything stored of websites that were uninstalled before then."""
    async with db.read() as connection:
        found = await connection.execute(
            select(websites.c.id).where(
                websites.c.status == "uninstalled", websites.c.uninstalled_at < before
            )
        )
        ids = sorted(found.scalars())
    for website_id in ids:
        await erase_website(db, settings.uploads_folder, website_id, SYSTEM)
    return len(ids)


async def _texts(db: Database) -> int | None:
    """Of old messages, where a website has chosen that; None when none has."""
    async with db.read() as connection:
        found = await connection.execute(
            select(websites.c.id).where(websites.c.message_days.is_not(None))
        )
        ids = sorted(found.scalars())
    total = 0
    for website_id in ids:
        after: str | None = ""
        while after is not None:
            count, after = await db.transact(
                partial(_some_texts, website_id=website_id, after=after)
            )
            total += count
    return total if ids else None


async def _some_texts(
    connection: AsyncConnection, website_id: str, after: str
) -> tuple[int, str | None]:
    """How many lost their text, and the id to go on from; None at the end. What is chosen is asked anew."""
    await lock_website(connection, website_id)
    rules = await find_rules(connection, website_id)
    before = rules.keeps_texts_since if rules else None
    if before is None:
        return 0, None
    ids = await find_old_threads(connection, website_id, before, after, THREADS_AT_ONCE)
    if not ids:
        return 0, None
    return await drop_texts(connection, website_id, ids, before), ids[-1]
