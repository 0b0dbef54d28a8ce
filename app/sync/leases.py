"""The right to work on a run: claimed for a while, proved in every transaction, given back (app/db/leases.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, and_, bindparam, exists, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app import clock
from app.db.in_turn import Query
from app.db.leases import LeaseLost, database_ms, lease_values, lock_oldest
from app.db.session import Database
from app.db.upsert import now_ms_of
from app.sync.runs import Asked, Kind, one_run
from app.sync.tables import sync_runs
from app.websites.tables import websites

__all__ = ["Claim", "LeaseLost", "claim", "fence", "finish", "release"]


@dataclass(slots=True)
class Claim:
    """The right to work on a run, for as long as `epoch` is the run's newest."""

    website_id: str
    run_id: str
    kind: Kind
    epoch: int
    generation: int
    window_from: datetime | None
    window_to: datetime | None
    checkpoint: dict[str, Any]
    counts: dict[str, int]
    lease_ms: int
    asked: Asked | None = None
    request_id: str | None = None


async def claim(
    db: Database, owner: str, lease_seconds: float, run_id: str | None = None
) -> Claim | None:
    """The oldest run that waits for a worker, or this one; None when there is none.

    One run at a time for each website. A running one counts as left when its lease is over.
    """

    async def work(connection: AsyncConnection) -> Claim | None:
        now_ms = await database_ms(connection)
        row = await _next_run(connection, now_ms, run_id)
        if row is None:
            return None
        await connection.execute(
            one_run(row.website_id, row.id).values(
                state="running",
                error=None,
                resume_at=None,
                started_at=row.started_at or clock.now(),
                **lease_values(row, owner, now_ms, round(lease_seconds * 1000)),
            )
        )
        return Claim(
            website_id=row.website_id,
            run_id=row.id,
            kind=row.kind,
            epoch=row.lease_epoch + 1,
            generation=row.generation,
            window_from=row.window_from,
            window_to=row.window_to,
            checkpoint=row.checkpoint,
            counts=row.counts,
            lease_ms=round(lease_seconds * 1000),
            asked=row.asked,
            request_id=row.request_id,
        )

    return await db.transact(work)


async def _next_run(connection: AsyncConnection, now_ms: int, run_id: str | None) -> Any:
    other = sync_runs.alias("other")
    busy = exists().where(
        other.c.website_id == sync_runs.c.website_id,
        other.c.id != sync_runs.c.id,
        other.c.state == "running",
        other.c.lease_until_ms > now_ms,
    )
    waits = or_(
        sync_runs.c.state == "queued",
        and_(sync_runs.c.state == "running", sync_runs.c.lease_until_ms <= now_ms),
        and_(sync_runs.c.state == "paused", sync_runs.c.resume_at <= clock.now()),
    )
    wanted = and_(waits, ~busy)
    if run_id is not None:
        wanted = and_(wanted, sync_runs.c.id == run_id)
    return await lock_oldest(connection, sync_runs, wanted, "claim a run")


async def fence(
    connection: AsyncConnection, held: Claim, *, requests: int = 0, save: bool = True
) -> None:
    """Prove within this transaction that the run is still ours, and save how far it is.

    Raises LeaseLost, which undoes the transaction.
    """
    asked = fencing(connection, held, requests=requests, save=save)
    check_fence(held, (await connection.execute(*asked)).all())


def fencing(
    connection: AsyncConnection, held: Claim, *, requests: int = 0, save: bool = True
) -> Query:
    values: dict[str, Any] = {
        "own_website": held.website_id,
        "own_run": held.run_id,
        "own_epoch": held.epoch,
        "own_generation": held.generation,
        "lease_ms": held.lease_ms,
        "more_requests": requests,
    }
    if save:
        values |= {"own_checkpoint": held.checkpoint, "own_counts": held.counts}
    return Query(_fence(connection.dialect.name, save), values)


def check_fence(held: Claim, rows: Sequence[Any]) -> None:
    """Raises LeaseLost."""
    if not rows:
        raise LeaseLost
    (held.asked,) = rows[0]


@cache
def _fence(dialect: str, save: bool) -> ReturningUpdate[Any]:
    """Built once: it is part of every transaction of a run."""
    mine = (
        sync_runs.c.website_id == bindparam("own_website"),
        sync_runs.c.id == bindparam("own_run"),
        sync_runs.c.lease_epoch == bindparam("own_epoch"),
        sync_runs.c.state == "running",
        exists().where(
            websites.c.id == sync_runs.c.website_id,
            websites.c.generation == bindparam("own_generation"),
            websites.c.status == "connected",
        ),
    )
    values: dict[str, Any] = {
        "lease_until_ms": now_ms_of(dialect) + bindparam("lease_ms", type_=BigInteger()),
        "requests": sync_runs.c.requests + bindparam("more_requests"),
    }
    if save:
        saved = ("checkpoint", "counts")
        values |= {n: bindparam(f"own_{n}", type_=sync_runs.c[n].type) for n in saved}
    return update(sync_runs).where(*mine).values(values).returning(sync_runs.c.asked)


async def finish(
    connection: AsyncConnection,
    held: Claim,
    state: str,
    *,
    error: str | None = None,
    resume_at: datetime | None = None,
) -> None:
    """End or park the run, if it is still ours."""
    await connection.execute(
        one_run(held.website_id, held.run_id)
        .where(sync_runs.c.lease_epoch == held.epoch, sync_runs.c.state == "running")
        .values(
            state=state,
            error=error,
            asked=None,
            resume_at=resume_at,
            finished_at=None if state == "paused" else clock.now(),
            counts=held.counts,
            checkpoint=held.checkpoint,
            lease_until_ms=0,
        )
    )


async def release(db: Database, held: Claim) -> None:
    """Let another worker go on at once, as when this one is told to stop (FAILURES case 90)."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            one_run(held.website_id, held.run_id)
            .where(sync_runs.c.lease_epoch == held.epoch, sync_runs.c.state == "running")
            .values(lease_until_ms=0)
        )

    await db.transact(work)
