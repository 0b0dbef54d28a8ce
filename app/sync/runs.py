"""Runs: asked for, claimed under a lease, fenced by an epoch, finished (SPEC S5).

A claim is worth only as long as its epoch is the newest: whoever lost it writes nothing, however
late it wakes up (FAILURES case 34). Leases are on the database's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import new_id
from app.db.session import Database
from app.db.upsert import db_now_ms, lock_key
from app.errors import Conflict, NotFound, Refused
from app.sync.tables import sync_runs
from app.websites.rules import require_website
from app.websites.tables import websites

Kind = Literal["full", "incremental", "backfill", "audit"]
Asked = Literal["pause", "cancel"]

UNFINISHED = ("queued", "running", "paused")
_STANDSTILL = {
    "paused": "The connection of this website is paused: resume it first.",
    "waiting": "This website is installed but not connected yet: crispsync connect.",
    "disconnected": "This website is disconnected: connect it first.",
    "uninstalled": "The plugin is no longer installed on this website: install it in Crisp first.",
}


class LeaseLost(Exception):  # said to the own process only, it is no error of the run
    """Somebody else has the run, or the website is no longer connected; nothing was written."""


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


async def request_run(
    db: Database,
    website_id: str,
    kind: Kind,
    *,
    started_by: str,
    window_from: datetime | None = None,
    window_to: datetime | None = None,
    accept_removals: bool = False,
) -> str:
    """Queue a run, or attach to the same unfinished one; its id. Raises Refused, NotFound."""
    if kind == "backfill":
        _check_window(window_from, window_to)

    async def work(connection: AsyncConnection) -> str:
        await lock_key(connection, f"runs {website_id}")
        website = await require_website(connection, website_id)
        if website.status != "connected":
            raise Refused(_STANDSTILL[website.status])
        same = await _find_same(connection, website_id, kind, window_from, window_to)
        if same is not None:
            return same
        run_id = new_id()
        await connection.execute(
            insert(sync_runs).values(
                website_id=website_id,
                id=run_id,
                kind=kind,
                state="queued",
                started_by=started_by,
                window_from=window_from,
                window_to=window_to,
                requests=0,
                counts={},
                checkpoint={"accept_removals": True} if accept_removals else {},
                created_at=clock.now(),
                generation=website.generation,
                lease_epoch=0,
                lease_until_ms=0,
            )
        )
        return run_id

    return await db.transact(work)


def _check_window(window_from: datetime | None, window_to: datetime | None) -> None:
    if window_from is None or window_to is None:
        raise Refused("A backfill needs two dates, from and to.")
    if window_from >= window_to:
        raise Refused("A backfill goes from an earlier to a later date: from is not before to.")
    if window_from > clock.now():
        raise Refused("A backfill reads what was: from lies in the future.")


async def _find_same(
    connection: AsyncConnection,
    website_id: str,
    kind: str,
    window_from: datetime | None,
    window_to: datetime | None,
) -> str | None:
    found: str | None = await connection.scalar(
        select(sync_runs.c.id).where(
            sync_runs.c.website_id == website_id,
            sync_runs.c.kind == kind,
            sync_runs.c.state.in_(UNFINISHED),
            sync_runs.c.window_from.is_not_distinct_from(window_from),
            sync_runs.c.window_to.is_not_distinct_from(window_to),
        )
    )
    return found


async def ask(db: Database, website_id: str, run_id: str, what: Asked) -> None:
    """Ask the worker to pause or cancel; a run nobody works on changes at once. Raises Conflict."""

    async def work(connection: AsyncConnection) -> None:
        row = await require_run(connection, website_id, run_id)
        if row.state not in UNFINISHED or (row.state == "paused" and what == "pause"):
            raise Conflict(f"This run is {row.state} already.")
        values: dict[str, Any] = {"asked": what}
        if row.state != "running":
            values = _stopped(what)
        await connection.execute(_one(website_id, run_id).values(**values))

    await db.transact(work)


async def resume(db: Database, website_id: str, run_id: str) -> None:
    """Let a paused run go on. Raises Conflict."""

    async def work(connection: AsyncConnection) -> None:
        row = await require_run(connection, website_id, run_id)
        if row.state != "paused":
            raise Conflict(f"Only a paused run can be resumed; this one is {row.state}.")
        await connection.execute(
            _one(website_id, run_id).values(state="queued", asked=None, resume_at=None)
        )

    await db.transact(work)


async def require_run(connection: AsyncConnection, website_id: str, run_id: str) -> Any:
    """The whole row. Raises NotFound."""
    row = (
        await connection.execute(
            select(sync_runs).where(sync_runs.c.website_id == website_id, sync_runs.c.id == run_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such run.")
    return row


async def claim(
    db: Database, owner: str, lease_seconds: float, run_id: str | None = None
) -> Claim | None:
    """The oldest run that waits for a worker, or this one; None when there is none.

    One run at a time for each website. A running one counts as left when its lease is over.
    """

    async def work(connection: AsyncConnection) -> Claim | None:
        now_ms = int(await connection.scalar(select(db_now_ms(connection))) or 0)
        row = await _next_run(connection, now_ms, run_id)
        if row is None:
            return None
        await connection.execute(
            _one(row.website_id, row.id).values(
                state="running",
                error=None,
                resume_at=None,
                started_at=row.started_at or clock.now(),
                lease_owner=owner,
                lease_epoch=row.lease_epoch + 1,
                lease_until_ms=now_ms + round(lease_seconds * 1000),
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
    query = select(sync_runs).where(waits, ~busy).order_by(sync_runs.c.created_at).limit(1)
    if run_id is not None:
        query = query.where(sync_runs.c.id == run_id)
    if connection.dialect.name != "sqlite":
        query = query.with_for_update(skip_locked=True, of=sync_runs)
        await lock_key(connection, "claim a run")
    return (await connection.execute(query)).one_or_none()


async def fence(
    connection: AsyncConnection, held: Claim, *, requests: int = 0, save: bool = True
) -> None:
    """Prove within this transaction that the run is still ours, and save how far it is.

    Raises LeaseLost, which undoes the transaction.
    """
    now_ms = db_now_ms(connection)
    values: dict[str, Any] = {
        "lease_until_ms": now_ms + held.lease_ms,
        "requests": sync_runs.c.requests + requests,
    }
    if save:
        values |= {"checkpoint": held.checkpoint, "counts": held.counts}
    row = (
        await connection.execute(
            update(sync_runs)
            .where(
                sync_runs.c.website_id == held.website_id,
                sync_runs.c.id == held.run_id,
                sync_runs.c.lease_epoch == held.epoch,
                sync_runs.c.state == "running",
                exists().where(
                    websites.c.id == sync_runs.c.website_id,
                    websites.c.generation == held.generation,
                    websites.c.status == "connected",
                ),
            )
            .values(**values)
            .returning(sync_runs.c.asked)
        )
    ).one_or_none()
    if row is None:
        raise LeaseLost
    held.asked = row.asked


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
        _one(held.website_id, held.run_id)
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
            _one(held.website_id, held.run_id)
            .where(sync_runs.c.lease_epoch == held.epoch, sync_runs.c.state == "running")
            .values(lease_until_ms=0)
        )

    await db.transact(work)


def _stopped(what: Asked) -> dict[str, Any]:
    if what == "pause":
        return {"state": "paused", "asked": None, "resume_at": None, "error": None}
    return {"state": "cancelled", "asked": None, "finished_at": clock.now()}


def _one(website_id: str, run_id: str) -> Any:
    return update(sync_runs).where(sync_runs.c.website_id == website_id, sync_runs.c.id == run_id)
