"""Which incremental runs are due; safe to ask from any number of processes (SPEC S2)."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.session import Database
from app.errors import Refused
from app.sync.runs import UNFINISHED, request_run
from app.sync.tables import sync_runs
from app.websites.tables import websites


async def queue_due_runs(db: Database, every_minutes: int) -> int:
    """Queue an incremental run for each website whose last run began long enough ago; how many."""
    async with db.read() as connection:
        due = await _find_due(connection, timedelta(minutes=every_minutes))
    queued = 0
    for website_id in due:
        try:
            await request_run(db, website_id, "incremental", started_by="schedule")
        except Refused:  # it was paused or disconnected a moment ago
            continue
        queued += 1
    return queued


async def _find_due(connection: AsyncConnection, every: timedelta) -> list[str]:
    busy = select(sync_runs.c.website_id).where(sync_runs.c.state.in_(UNFINISHED))
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
            latest.c.created_at <= clock.now() - every,
        )
        .order_by(websites.c.id)
    )
    return [str(row.id) for row in rows]
