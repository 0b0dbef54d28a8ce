"""The right to work on an import: planning, committing or undoing it (app/db/leases.py)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import and_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import StoredRow
from app.db.leases import LeaseLost, database_ms, lease_values, lock_oldest, prove
from app.db.session import Database
from app.errors import CrispsyncError, DatabaseAway
from app.imports.tables import imports

STAGES = ("planning", "committing", "undoing")


@dataclass(slots=True)
class Work:
    """One import that this process works on, for as long as `epoch` is its newest."""

    db: Database
    folder: Path
    row: StoredRow
    epoch: int
    lease_ms: int
    counts: dict[str, int]
    checkpoint: dict[str, Any]

    @property
    def website_id(self) -> str:
        return str(self.row.website_id)

    @property
    def row_id(self) -> str:
        return str(self.row.id)

    async def save(self, connection: AsyncConnection, **values: Any) -> None:
        """Prove within this transaction that it is still ours, and save how far it is.

        Raises LeaseLost, which undoes the transaction.
        """
        told = {"counts": self.counts, "checkpoint": self.checkpoint, **values}
        await prove(connection, imports, self, (self.row.state,), **told)


async def claim_import(
    db: Database, folder: Path, owner: str, lease_seconds: float, import_id: str | None = None
) -> Work | None:
    """The oldest import that waits, or this one; None when there is none."""
    lease_ms = round(lease_seconds * 1000)

    async def work(connection: AsyncConnection) -> Work | None:
        now_ms = await database_ms(connection)
        waits = and_(imports.c.state.in_(STAGES), imports.c.lease_until_ms <= now_ms)
        if import_id is not None:
            waits = and_(waits, imports.c.id == import_id)
        row = await lock_oldest(connection, imports, waits, "claim an import")
        if row is None:
            return None
        values = lease_values(row, owner, now_ms, lease_ms)
        values["started_at"] = row.started_at or clock.now()
        await connection.execute(one_import(row.website_id, row.id).values(**values))
        counts, checkpoint = dict(row.counts), dict(row.checkpoint)
        return Work(db, folder, row, row.lease_epoch + 1, lease_ms, counts, checkpoint)

    return await db.transact(work)


def one_import(website_id: str, import_id: str) -> Any:
    return update(imports).where(imports.c.website_id == website_id, imports.c.id == import_id)


async def release(held: Work) -> None:
    """Let another process go on at once (FAILURES case 90)."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            one_import(held.website_id, held.row_id)
            .where(imports.c.lease_epoch == held.epoch)
            .values(lease_until_ms=0)
        )

    await held.db.transact(work)


async def fail(held: Work, sentence: str) -> None:
    """End it; what was written stays, and its rows tell what."""

    async def work(connection: AsyncConnection) -> None:
        ended = {"state": "failed", "error": sentence, "finished_at": clock.now()}
        await held.save(connection, **ended, lease_owner=None)
        await connection.execute(one_import(held.website_id, held.row_id).values(lease_until_ms=0))

    with contextlib.suppress(LeaseLost):
        await held.db.transact(work)


@contextlib.asynccontextmanager
async def heartbeat(held: Work) -> AsyncIterator[None]:
    """Keep the lease while a file is read up to where the work stopped."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(held.lease_ms / 3000)
            with contextlib.suppress(DatabaseAway, LeaseLost, CrispsyncError):
                await held.db.transact(
                    lambda connection: prove(connection, imports, held, (held.row.state,))
                )

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
