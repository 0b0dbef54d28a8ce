"""Which incremental runs and audits are due; safe to ask from any number of processes (SPEC S2, S8)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.session import Database
from app.errors import Refused
from app.settings import Settings
from app.sync.audit_sample import daily_sample
from app.sync.runs import UNFINISHED, request_run
from app.sync.tables import sync_runs
from app.websites.tables import websites

AUDIT_EVERY = timedelta(hours=24)


async def queue_due_runs(db: Database, every_minutes: int) -> int:
    """Queue an incremental run for each website whose last run began long enough ago; how many."""
    before = clock.now() - timedelta(minutes=every_minutes)
    async with db.read() as connection:
        due = await _find_due(connection, before)
    queued = 0
    for website_id in due:
        try:
            await request_run(
                db, website_id, "incremental", started_by="schedule", unless_since=before
            )
        except Refused:  # it was paused or disconnected a moment ago
            continue
        queued += 1
    return queued


async def queue_due_audits(db: Database, settings: Settings) -> int:
    """Queue an audit of a sample for each website that had none for a day; how many."""
    if not settings.audit_quota_percent:
        return 0
    before = clock.now() - AUDIT_EVERY
    async with db.read() as connection:
        due = await _find_unaudited(connection, before)
    if not due:
        return 0
    sample = await scheduled_sample(db, settings)
    queued = 0
    for website_id in due:
        try:
            await request_run(
                db,
                website_id,
                "audit",
                started_by="schedule",
                unless_since=before,
                sample=sample,
            )
        except Refused:
            continue
        queued += 1
    return queued


async def scheduled_sample(db: Database, settings: Settings) -> dict[str, int]:
    """A website's share of the day's requests that are for audits."""
    async with db.read() as connection:
        connected = await connection.scalar(
            select(func.count()).where(websites.c.status == "connected")
        )
    percent = settings.audit_quota_percent or Settings.model_fields["audit_quota_percent"].default
    return daily_sample(settings.crisp_daily_quota, percent, int(connected or 0))


async def _find_due(connection: AsyncConnection, before: datetime) -> list[str]:
    busy = select(sync_runs.c.website_id).where(
        sync_runs.c.state.in_(UNFINISHED), sync_runs.c.kind != "audit"
    )
    latest = (
        select(sync_runs.c.website_id, func.max(sync_runs.c.created_at).label("created_at"))
        .where(sync_runs.c.kind.in_(("full", "incremental")))
        .group_by(sync_runs.c.website_id)
        .subquery()
    )
    rows = await connection.execute(
        select(websites.c.id)
        .join_from(websites, latest, latest.c.website_id == websites.c.id)
        .where(
            websites.c.status == "connected",
            websites.c.first_imported_at.is_not(None),
            websites.c.id.not_in(busy),
            latest.c.created_at <= before,
        )
        .order_by(websites.c.id)
    )
    return [str(row.id) for row in rows]


async def _find_unaudited(connection: AsyncConnection, before: datetime) -> list[str]:
    """Not on the day of the first import: what was read just now needs no second look."""
    recent = select(sync_runs.c.website_id).where(
        (sync_runs.c.kind == "audit")
        & (sync_runs.c.state.in_(UNFINISHED) | (sync_runs.c.created_at > before))
    )
    rows = await connection.execute(
        select(websites.c.id)
        .where(
            websites.c.status == "connected",
            websites.c.first_imported_at <= before,
            websites.c.id.not_in(recent),
        )
        .order_by(websites.c.id)
    )
    return [str(row.id) for row in rows]
