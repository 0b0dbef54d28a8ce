"""Runs as people see them: asked for, paused, resumed, cancelled (SPEC S5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor
from app.accounts.audit import audit
from app.db.base import new_id
from app.db.session import Database
from app.db.upsert import db_now_ms, lock_key
from app.errors import Conflict, NotFound, Refused
from app.logs import current_request_id
from app.sync.tables import sync_runs
from app.websites.rules import activate, require_website

Kind = Literal["full", "incremental", "backfill", "audit"]
Sample = Mapping[str, int | str]
"""Of an audit: `sample`, conversations to read or "all", and `requests_at_most`."""
Asked = Literal["pause", "cancel"]

UNFINISHED = ("queued", "running", "paused")
_STANDSTILL = {
    "paused": "The connection of this website is paused: resume it first.",
    "waiting": "This website waits for its first import: start a full sync or a backfill.",
    "disconnected": "This website is disconnected: connect it first.",
    "uninstalled": "The plugin is no longer installed on this website: install it in Crisp first.",
}


async def request_run(  # noqa: PLR0913  # what is asked for, by name
    db: Database,
    website_id: str,
    kind: Kind,
    *,
    started_by: str,
    actor: Actor | None = None,
    window_from: datetime | None = None,
    window_to: datetime | None = None,
    accept_removals: bool = False,
    sample: Sample | None = None,
    unless_since: datetime | None = None,
) -> str:
    """Queue a run, or attach to the same unfinished one; its id. `actor`: the person or token that asks.

    With `unless_since`, also to one that was asked for since, whatever became of it: several processes
    may find at the same time that a run is due. Raises Refused, NotFound, and Conflict when that one is at work without `accept_removals`.
    """
    if kind == "backfill":
        _check_window(window_from, window_to)

    async def work(connection: AsyncConnection) -> str:
        await lock_key(connection, f"runs {website_id}")
        website = await _require_syncing(connection, website_id, kind)
        same = await _find_same(connection, website_id, kind, window_from, window_to)
        if same is None and unless_since is not None:
            same = await _find_since(connection, website_id, kind, unless_since)
        if same is not None:
            if accept_removals:
                await _accept_removals(connection, website_id, same, actor)
            return same
        run_id = new_id()
        accepting = {"accept_removals": True} if accept_removals else {}
        await connection.execute(
            insert(sync_runs).values(
                website_id=website_id,
                id=run_id,
                kind=kind,
                state="queued",
                started_by=started_by,
                request_id=current_request_id(),
                window_from=window_from,
                window_to=window_to,
                requests=0,
                counts={},
                checkpoint={**(sample or {}), **accepting},
                created_at=clock.now(),
                generation=website.generation,
                lease_epoch=0,
                lease_until_ms=0,
            )
        )
        if kind in {"full", "backfill"}:
            await activate(connection, website_id)
        window = {"from": window_from, "to": window_to}
        asked = {"kind": kind, **window, **(sample or {}), **accepting}
        await _note(connection, actor, "started", (website_id, run_id), after=asked)
        return run_id

    return await db.transact(work)


async def _require_syncing(connection: AsyncConnection, website_id: str, kind: str) -> Any:
    """The website's row. Raises NotFound, Refused."""
    website = await require_website(connection, website_id)
    begins = website.status == "waiting" and kind in {"full", "backfill"}
    if website.status != "connected" and not begins:
        raise Refused(_STANDSTILL[website.status])
    return website


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


async def _find_since(
    connection: AsyncConnection, website_id: str, kind: str, since: datetime
) -> str | None:
    found: str | None = await connection.scalar(
        select(sync_runs.c.id)
        .where(
            sync_runs.c.website_id == website_id,
            sync_runs.c.kind == kind,
            sync_runs.c.created_at > since,
        )
        .limit(1)
    )
    return found


async def _accept_removals(
    connection: AsyncConnection, website_id: str, run_id: str, actor: Actor | None
) -> None:
    """Into the checkpoint, which belongs to the worker while there is one. Raises Conflict."""
    row = (
        await connection.execute(
            select(sync_runs)
            .where(sync_runs.c.website_id == website_id, sync_runs.c.id == run_id)
            .with_for_update()
        )
    ).one()
    if row.checkpoint.get("accept_removals"):
        return
    now_ms = int(await connection.scalar(select(db_now_ms(connection))) or 0)
    if row.state == "running" and row.lease_until_ms > now_ms:
        raise Conflict(
            "A full sync that does not accept removals is at work: pause or cancel it first, or ask "
            "again when it has ended."
        )
    # A worker that only slept too long must not write its own checkpoint over this one.
    values = {
        "checkpoint": {**row.checkpoint, "accept_removals": True},
        "lease_epoch": row.lease_epoch + 1,
    }
    await connection.execute(one_run(website_id, run_id).values(**values))
    await _note(connection, actor, "removals_accepted", (website_id, run_id))


async def _note(
    connection: AsyncConnection,
    actor: Actor | None,
    done: str,
    run: tuple[str, str],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Into the audit log, when a person or a token asked; `run`: its website's id and its own."""
    if actor is not None:
        website_id, run_id = run
        told = {name: _plain(value) for name, value in (after or {}).items() if value is not None}
        await audit(
            connection,
            actor,
            f"sync.{done}",
            website_id=website_id,
            subject=("sync", run_id),
            before=before,
            after=told or None,
        )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def ask(
    db: Database, website_id: str, run_id: str, what: Asked, actor: Actor | None = None
) -> None:
    """Ask the worker to pause or cancel; a run nobody works on changes at once. Raises Conflict."""

    async def work(connection: AsyncConnection) -> None:
        row = await require_run(connection, website_id, run_id)
        if row.state not in UNFINISHED or (row.state == "paused" and what == "pause"):
            raise Conflict(f"This run is {row.state} already.")
        values: dict[str, Any] = {"asked": what}
        if row.state != "running":
            values = _stopped(what)
        await connection.execute(one_run(website_id, run_id).values(**values))
        was, now = {"state": row.state}, {"state": values.get("state"), "asked": values["asked"]}
        done = "paused" if what == "pause" else "cancelled"
        await _note(connection, actor, done, (website_id, run_id), before=was, after=now)

    await db.transact(work)


async def resume(db: Database, website_id: str, run_id: str, actor: Actor | None = None) -> None:
    """Let a paused run go on. Raises Conflict."""

    async def work(connection: AsyncConnection) -> None:
        row = await require_run(connection, website_id, run_id)
        if row.state != "paused":
            raise Conflict(f"Only a paused run can be resumed; this one is {row.state}.")
        await connection.execute(
            one_run(website_id, run_id).values(
                state="queued", asked=None, resume_at=None, request_id=current_request_id()
            )
        )
        was, now = {"state": row.state}, {"state": "queued"}
        await _note(connection, actor, "resumed", (website_id, run_id), before=was, after=now)

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


def _stopped(what: Asked) -> dict[str, Any]:
    if what == "pause":
        return {"state": "paused", "asked": None, "resume_at": None, "error": None}
    return {"state": "cancelled", "asked": None, "finished_at": clock.now()}


def one_run(website_id: str, run_id: str) -> Any:
    return update(sync_runs).where(sync_runs.c.website_id == website_id, sync_runs.c.id == run_id)
