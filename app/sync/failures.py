"""Records that a run could not keep (SPEC V6)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.upsert import upsert
from app.matching.keep_out import which_are_erased
from app.records import Rejected
from app.sync.leases import Claim
from app.sync.tables import sync_failures


async def count_failures(connection: AsyncConnection, run: Claim) -> int:
    found = await connection.scalar(
        select(func.count())
        .select_from(sync_failures)
        .where(sync_failures.c.website_id == run.website_id, sync_failures.c.run_id == run.run_id)
    )
    return int(found or 0)


async def write_failures(
    connection: AsyncConnection, run: Claim, rejected: Sequence[Rejected]
) -> None:
    ids = {record.external_id.partition("/")[0] for record in rejected}
    people, sessions = set[str](), set[str]()
    if ids:
        people, sessions = await which_are_erased(connection, run.website_id, ids, ids)
    rows = {
        (record.kind, record.external_id): {
            "website_id": run.website_id,
            "run_id": run.run_id,
            "kind": record.kind,
            "external_id": record.external_id,
            "reason": record.reason,
            "happened_at": clock.now(),
        }
        for record in rejected
        if record.external_id.partition("/")[0] not in people | sessions
    }
    await upsert(
        connection,
        sync_failures,
        [rows[key] for key in sorted(rows)],
        key=("website_id", "run_id", "kind", "external_id"),
        update=("reason", "happened_at"),
    )
