"""After an erasure: raw hooks, uploads, and what the database keeps of deleted rows.

Which websites are to be swept stands in the list of erased identities, so a killed sweep is done again.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.tables import erased_identities
from app.db.session import Database
from app.db.words import forget_words
from app.errors import CrispsyncError
from app.logs import as_of_request
from app.privacy.outside import keep_all
from app.privacy.uploads import sweep_uploads
from app.webhooks.erased import sweep_hooks

log = structlog.get_logger(__name__)

_i = erased_identities.c
# SQLite uses a partial index only where its condition stands literally.
_UNSWEPT = text("swept_at IS NULL")
_VACUUMED = (
    "contacts, contact_emails, contact_companies, conversations, conversation_companies, "
    "link_decisions, left_alone, remedies, remedy_rows, messages, inbox_events, import_rows, imports, "
    "audit_log, sync_failures, api_replies, thread_facts"
)


async def is_anything_left(db: Database) -> bool:
    """One lookup in a small index."""
    async with db.read() as connection:
        return (await connection.scalar(select(_i.website_id).where(_UNSWEPT).limit(1))) is not None


async def sweep(db: Database, uploads: Path) -> int:
    """Whatever erasures left to do; how many websites. Nothing to do costs one lookup."""
    started = clock.now()
    async with db.read() as connection:
        found = await connection.execute(select(_i.website_id).where(_UNSWEPT).distinct())
        website_ids = sorted(found.scalars())
    if not website_ids:
        return 0
    for website_id in website_ids:
        hooks = await sweep_hooks(db, website_id)
        files = await sweep_uploads(db, uploads, website_id)
        await _tell(db, website_id, hooks + files)
    await _keep_outside(db)
    await leave_nothing(db)
    for website_id in website_ids:
        await db.transact(partial(_mark, website_id=website_id, started=started))
    return len(website_ids)


async def _keep_outside(db: Database) -> None:
    """Ids that were learned since, from news that named an erased address; the next news would tell again."""
    try:
        await keep_all(db)
    except CrispsyncError as error:
        log.warning("erasures.not_kept_outside", error=type(error).__name__)


async def _tell(db: Database, website_id: str, count: int) -> None:
    """A line for each request that asked for an erasure: one sweep does for several."""
    query = select(_i.request_id).where(_i.website_id == website_id, _UNSWEPT).distinct()
    async with db.read() as connection:
        asked = (await connection.execute(query)).scalars().all()
    for request_id in asked:
        with as_of_request(request_id):
            log.info("erasure.swept", website_id=website_id, count=count)


async def _mark(connection: AsyncConnection, website_id: str, started: object) -> None:
    """Only what had been listed when the sweep began."""
    await connection.execute(
        update(erased_identities)
        .where(_i.website_id == website_id, _i.erased_at <= started, _UNSWEPT)
        .values(swept_at=clock.now())
    )


async def leave_nothing(db: Database) -> None:
    """Make the database let go of deleted rows: in free pages, old parts of the search index, the log.

    SQLite's file is rewritten, which takes about a second for 100 MB and keeps writers waiting.
    """
    if not db.is_sqlite:
        async with db.engine.connect() as connection:
            outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await outside.execute(text(f"VACUUM {_VACUUMED}"))
        return
    await db.transact(forget_words)
    async with db.writer, db.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        await raw.execute("VACUUM")  # type: ignore[union-attr]  # aiosqlite's
        await raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
