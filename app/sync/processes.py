"""Which processes work, and what each knows of the clocks: a row for each, written every few seconds (SPEC T1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import now_ms
from app.crisp.scopes import keep_outcomes
from app.db.base import AnySelect, StoredRow
from app.db.session import Database
from app.db.upsert import db_now_ms, insert_for
from app.errors import DatabaseAway
from app.sync.tables import working_processes
from app.sync.worker import Worker, owner_name

log = structlog.get_logger(__name__)

BEAT_EVERY = 5.0
SILENT_AFTER_MS = 60_000
"""A process that told nothing for so long does not work."""
FORGOTTEN_AFTER_MS = 24 * 3600 * 1000


async def keep_beating(db: Database, worker: Worker, stopping: asyncio.Event) -> None:
    """Until `stopping` is set; then the row goes at once."""
    name = owner_name()
    while not stopping.is_set():
        with contextlib.suppress(DatabaseAway, SQLAlchemyError):
            await db.transact(lambda connection: beat(connection, worker, name), tries=1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_EVERY):
                await stopping.wait()
    with contextlib.suppress(DatabaseAway, SQLAlchemyError):
        await db.transact(lambda connection: _forget(connection, name), tries=1)


async def beat(connection: AsyncConnection, worker: Worker, name: str) -> None:
    database_ms = int(await connection.scalar(select(db_now_ms(connection))) or 0)
    values = {
        "beat_ms": database_ms,
        "ahead_of_database_ms": now_ms() - database_ms,
        "ahead_of_crisp_ms": worker.ahead_of_crisp_ms,
    }
    insert = insert_for(connection, working_processes).values(name=name, **values)
    await connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))
    await connection.execute(
        delete(working_processes).where(
            working_processes.c.beat_ms < database_ms - FORGOTTEN_AFTER_MS
        )
    )
    if worker.current_client is not None:
        await keep_outcomes(connection, worker.current_client)


async def _forget(connection: AsyncConnection, name: str) -> None:
    await connection.execute(delete(working_processes).where(working_processes.c.name == name))


async def working(connection: AsyncConnection) -> Sequence[StoredRow]:
    """Those that told of themselves within SILENT_AFTER_MS, newest first."""
    return (await connection.execute(working_query(connection))).all()


def working_query(connection: AsyncConnection) -> AnySelect:
    since = db_now_ms(connection) - SILENT_AFTER_MS
    return (
        select(working_processes)
        .where(working_processes.c.beat_ms >= since)
        .order_by(working_processes.c.beat_ms.desc(), working_processes.c.name)
    )
