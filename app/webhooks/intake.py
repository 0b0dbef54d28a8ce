"""The intake as a whole: it lives as long as the web app does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from app.db.session import Database
from app.webhooks.group_commit import GroupCommit, Inbox
from app.webhooks.receive import HookReceiver
from app.webhooks.refusals import Refusals
from app.webhooks.store_postgres import PostgresInbox
from app.webhooks.store_sqlite import SqliteInbox

log = structlog.get_logger(__name__)


def open_inbox(db: Database) -> Inbox:
    return SqliteInbox(db) if db.is_sqlite else PostgresInbox(db)


@asynccontextmanager
async def opened_intake(
    db: Database, secrets: Sequence[bytes], ring: Callable[[], None]
) -> AsyncIterator[HookReceiver]:
    """Takes hooks until it ends, and then finishes what it took.

    `ring` is called after each commit, must not block, and may fail.
    """
    if not secrets:
        log.warning("hooks.refused", reason="CRISP_SIGNING_SECRET is not set")
    refusals = Refusals(db)
    commits = GroupCommit(open_inbox(db), ring)
    stopping = asyncio.Event()
    flushing = asyncio.create_task(refusals.flush_often(stopping))
    try:
        yield HookReceiver(secrets, commits, refusals)
    finally:
        await commits.close()
        stopping.set()
        await flushing
