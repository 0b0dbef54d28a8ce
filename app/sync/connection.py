"""Pausing a website's connection and resuming it, its runs with it (SPEC C9)."""

from __future__ import annotations

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.db.session import Database
from app.errors import Conflict
from app.sync.tables import sync_runs
from app.websites.rules import lock_website, require_website
from app.websites.tables import websites

WITH_THE_CONNECTION = "The connection is paused; this goes on when it is resumed."
"""The error of runs that stand still for this reason, by which resuming finds them."""


async def pause_connection(db: Database, actor: Actor, website_id: str) -> None:
    """Hooks are only stored from now on, runs stop. Raises Forbidden, NotFound, Conflict."""
    actor.require(Role.ADMIN)

    async def work(connection: AsyncConnection) -> None:
        await _change(connection, actor, website_id, "connected", "paused")
        await connection.execute(
            update(sync_runs)
            .where(sync_runs.c.website_id == website_id, _unfinished())
            .values(
                state="paused",
                error=WITH_THE_CONNECTION,
                asked=None,
                resume_at=None,
                lease_until_ms=0,
                # Whoever works on it now writes nothing any more.
                lease_epoch=sync_runs.c.lease_epoch + 1,
            )
        )

    await db.transact(work)


async def resume_connection(db: Database, actor: Actor, website_id: str) -> None:
    """What was stored is applied, runs go on where they stopped. Raises as pausing does."""
    actor.require(Role.ADMIN)

    async def work(connection: AsyncConnection) -> None:
        await _change(connection, actor, website_id, "paused", "connected")
        await connection.execute(
            update(sync_runs)
            .where(
                sync_runs.c.website_id == website_id,
                sync_runs.c.state == "paused",
                sync_runs.c.error == WITH_THE_CONNECTION,
            )
            .values(state="queued", error=None)
        )

    await db.transact(work)


def _unfinished() -> ColumnElement[bool]:
    """Those that a person paused stay so when the connection is resumed."""
    by_itself = (sync_runs.c.state == "paused") & sync_runs.c.resume_at.is_not(None)
    return sync_runs.c.state.in_(("queued", "running")) | by_itself


async def _change(
    connection: AsyncConnection, actor: Actor, website_id: str, status: str, becomes: str
) -> None:
    await lock_website(connection, website_id)
    website = await require_website(connection, website_id)
    if website.status != status:
        raise Conflict(f"The connection of this website is {website.status}, not {status}.")
    await connection.execute(
        update(websites).where(websites.c.id == website_id).values(status=becomes)
    )
    await audit(
        connection,
        actor,
        f"website.{'paused' if becomes == 'paused' else 'resumed'}",
        website_id=website_id,
        subject=("website", website_id),
        before={"status": status},
        after={"status": becomes},
    )
