"""Runs and their failed records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.keyset import ByteOrder, Cursor, KeyPage, Order, fetch_page
from app.pages.rows import AnyRow, AnySelect
from app.pages.states import UNFINISHED
from app.sync.drift import findings_query
from app.sync.tables import audit_findings, sync_failures, sync_runs

RUNS_ORDER = Order(sync_runs.c.created_at, sync_runs.c.id, datetime, nullable=False)
FAILURES_ORDER = Order(
    ByteOrder(sync_failures.c.kind),
    sync_failures.c.external_id,
    str,
    descending=False,
    nullable=False,
)
RUNS_SHOWN = 25
FAILURES_SHOWN = 100
FINDINGS_SHOWN = 200


async def finished_runs(
    connection: AsyncConnection, website_id: str, cursor: Cursor | None
) -> KeyPage:
    query = select(sync_runs).where(
        sync_runs.c.website_id == website_id, sync_runs.c.state.not_in(UNFINISHED)
    )
    return await fetch_page(connection, query, RUNS_ORDER, cursor, RUNS_SHOWN)


async def unfinished_runs(connection: AsyncConnection, website_id: str) -> Sequence[AnyRow]:
    query = (
        select(sync_runs)
        .where(sync_runs.c.website_id == website_id, sync_runs.c.state.in_(UNFINISHED))
        .order_by(sync_runs.c.created_at, sync_runs.c.id)
        .limit(50)
    )
    return (await connection.execute(query)).all()


async def get_run(connection: AsyncConnection, website_id: str, run_id: str) -> AnyRow | None:
    query = select(sync_runs).where(sync_runs.c.website_id == website_id, sync_runs.c.id == run_id)
    return (await connection.execute(query)).first()


async def failures_of(
    connection: AsyncConnection, website_id: str, run_id: str, cursor: Cursor | None
) -> KeyPage:
    f = sync_failures.c
    query = select(f.kind, f.external_id, f.reason, f.happened_at).where(
        f.website_id == website_id, f.run_id == run_id
    )
    return await fetch_page(connection, query, FAILURES_ORDER, cursor, FAILURES_SHOWN)


async def count_failures(connection: AsyncConnection, website_id: str, run_id: str) -> int:
    f = sync_failures.c
    query = select(func.count()).where(f.website_id == website_id, f.run_id == run_id)
    return (await connection.execute(query)).scalar_one()


async def findings_of(
    connection: AsyncConnection, website_id: str, run_id: str
) -> Sequence[AnyRow]:
    """What an audit found to differ; those that it could not repair first."""
    f = audit_findings.c
    query = findings_query(website_id, run_id).order_by(f.repaired, f.kind, f.external_id)
    return (await connection.execute(query.limit(FINDINGS_SHOWN))).all()


def last_finished_query(website_id: str) -> AnySelect:
    return (
        select(sync_runs)
        .where(sync_runs.c.website_id == website_id, sync_runs.c.finished_at.is_not(None))
        .order_by(sync_runs.c.created_at.desc(), sync_runs.c.id)
        .limit(1)
    )
