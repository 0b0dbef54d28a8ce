"""The intake as a whole: it lives as long as the web app does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db.session import Database
from app.errors import DatabaseAway
from app.settings import Settings
from app.webhooks.group_commit import GroupCommit, Inbox
from app.webhooks.receive import HookReceiver
from app.webhooks.refusals import Refusals
from app.webhooks.store_postgres import PostgresInbox
from app.webhooks.store_sqlite import SqliteInbox
from app.websites.credential import read_credential

log = structlog.get_logger(__name__)

LOOK_EVERY = 3.0
"""Seconds until a signing secret that somebody entered in the pages counts here."""


def open_inbox(db: Database) -> Inbox:
    return SqliteInbox(db) if db.is_sqlite else PostgresInbox(db)


@asynccontextmanager
async def opened_intake(
    db: Database, settings: Settings, ring: Callable[[], None]
) -> AsyncIterator[HookReceiver]:
    """Takes hooks until it ends, and then finishes what it took.

    `ring` is called after each commit, must not block, and may fail.
    """
    refusals = Refusals(db)
    commits = GroupCommit(open_inbox(db), ring)
    receiver = HookReceiver(settings.signing_secrets or None, commits, refusals)
    stopping = asyncio.Event()
    beside = [asyncio.create_task(refusals.flush_often(stopping))]
    if not settings.signing_secrets:
        await look(db, settings, receiver)
        if not receiver.can_verify:
            log.warning("hooks.refused", reason="no signing secret is set")
        beside.append(asyncio.create_task(_look_often(db, settings, receiver, stopping)))
    try:
        yield receiver
    finally:
        await commits.close()
        stopping.set()
        await asyncio.gather(*beside)


async def look(db: Database, settings: Settings, receiver: HookReceiver) -> None:
    """Take the secrets that are stored; while the database is away, those last seen stay."""
    try:
        receiver.use((await read_credential(db, settings)).signing_secrets)
    except (DatabaseAway, SQLAlchemyError, OSError) as error:
        log.warning("hooks.secret_unknown", error=type(error).__name__)


async def _look_often(
    db: Database, settings: Settings, receiver: HookReceiver, stopping: asyncio.Event
) -> None:
    while not stopping.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await stopping.wait()
                return
        await look(db, settings, receiver)
