"""What is wrong with one website, as far as it stands in the database."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import StoredRow
from app.doctor.findings import Finding
from app.sync.tables import sync_runs
from app.webhooks.hook_figures import count_dead, last_received
from app.webhooks.silence import silent_since
from app.webhooks.tables import IS_KEPT, inbox_events
from app.websites.tables import websites

NEVER_AFTER = timedelta(hours=24)
"""A website that sent no hook at all for so long after its connection is worth a word."""
UNKNOWN_SHOWN = 20


async def look_at_website(connection: AsyncConnection, row: StoredRow) -> list[Finding]:
    found = []
    if row.status != "connected":
        found.append(Finding(row.status, f"{row.name} is {row.status}.", row.id))
    if row.attention and row.status == "connected":
        found.append(Finding(_cause_of(row.attention), row.attention, row.id))
    if not row.import_conversations:
        found.append(Finding("conversations_off", f"In the settings of {row.name}.", row.id))
    if not row.import_people:
        found.append(Finding("people_off", f"In the settings of {row.name}.", row.id))
    if row.status in {"connected", "waiting"}:
        found += await _hooks(connection, row)
    if row.status == "connected":
        found += await _last_run(connection, row)
        found += await _last_audit(connection, row)
    dead = await count_dead(connection, row.id)
    if dead:
        found.append(Finding("dead_letters", f"{dead:,} of {row.name} or of nobody.", row.id))
    return found


def _cause_of(attention: str) -> str:
    """The website's note is the sentence that Crisp's answer led to (app/crisp/errors.py)."""
    if "lacks a scope" in attention:
        return "scope_missing"
    return "credential_rejected" if "credential" in attention else "run_failed"


async def _hooks(connection: AsyncConnection, row: StoredRow) -> list[Finding]:
    silence = await silent_since(connection, row.id)
    if silence is not None:
        told = (
            f"{row.name} is silent since {silence.since:%Y-%m-%d %H:%M} UTC, unlike on other days."
        )
        return [Finding("hooks_not_arriving", told, row.id)]
    if row.connected_at > clock.now() - NEVER_AFTER:
        return []
    if await last_received(connection, row.id) is None:
        told = f"None of {row.name} since it was connected ({row.connected_at:%Y-%m-%d})."
        return [Finding("hooks_not_arriving", told, row.id)]
    return []


async def _last_run(connection: AsyncConnection, row: StoredRow) -> list[Finding]:
    run = (
        await connection.execute(
            select(sync_runs.c.kind, sync_runs.c.state, sync_runs.c.error)
            .where(sync_runs.c.website_id == row.id)
            .order_by(sync_runs.c.created_at.desc())
            .limit(1)
        )
    ).one_or_none()
    if run is None or run.state != "failed" or row.attention:
        return []
    return [
        Finding("run_failed", f"{run.kind} of {row.name}: {run.error or 'no reason kept'}", row.id)
    ]


async def _last_audit(connection: AsyncConnection, row: StoredRow) -> list[Finding]:
    r = sync_runs.c
    counts: dict[str, int] = (
        await connection.scalar(
            select(r.counts)
            .where(r.website_id == row.id, r.kind == "audit", r.state.in_(("done", "partial")))
            .order_by(r.created_at.desc())
            .limit(1)
        )
        or {}
    )
    drifted = counts.get("drifted", 0)
    if not drifted:
        return []
    told = f"{drifted:,} differed in {row.name}, {counts.get('repaired', 0):,} were repaired."
    return [Finding("drift_found", told, row.id)]


async def unknown_websites(connection: AsyncConnection) -> list[Finding]:
    parked = (
        select(inbox_events.c.website_id, func.count().label("hooks"))
        .where(IS_KEPT, inbox_events.c.state == "parked", inbox_events.c.website_id.is_not(None))
        .where(inbox_events.c.website_id.not_in(select(websites.c.id)))
        .group_by(inbox_events.c.website_id)
        .order_by(inbox_events.c.website_id)
        .limit(UNKNOWN_SHOWN)
    )
    return [
        Finding("website_unknown", f"{row.hooks:,} wait for {row.website_id}.")
        for row in await connection.execute(parked)
    ]
