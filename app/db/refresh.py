"""Rows that are due for a GET of their record: columns `refresh_due_ms` (database time) and
`refresh_hint_ms` (Crisp's time of the news that an answer must be at least as new as).

Several hooks about one record within COALESCE_MS cost one request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import StoredRow
from app.db.one_of import is_one_of
from app.db.upsert import Row, db_now_ms, update_rows

COALESCE_MS = 5_000
CHUNK = 500


async def mark_due(
    connection: AsyncConnection,
    table: Table,
    external_id: str,
    website_id: str,
    hints: Mapping[str, int],
    met: Collection[str],
) -> None:
    """Those of `hints`, and those of `met` that were never read whole. Removed ones are left alone.

    `external_id`: the column by which both name their records. The caller holds the website's lock.
    """
    wanted = sorted({*hints, *met})
    for start in range(0, len(wanted), CHUNK):
        ids = wanted[start : start + CHUNK]
        found = await _find(connection, table, external_id, website_id, ids)
        due = [row for row in found if row.external_id in hints or _is_unread(row)]
        changed = [
            values
            for row in due
            if (values := _due(website_id, row, hints.get(row.external_id, 0))) is not None
        ]
        await update_rows(connection, table, changed, key=("website_id", "id"))


async def _find(
    connection: AsyncConnection,
    table: Table,
    external_id: str,
    website_id: str,
    ids: Sequence[str],
) -> Sequence[StoredRow]:
    rows = await connection.execute(
        select(
            table.c.id,
            table.c[external_id].label("external_id"),
            table.c.version_ms,
            table.c.refresh_due_ms,
            table.c.refresh_hint_ms,
            db_now_ms(connection).label("now_ms"),
        ).where(
            table.c.website_id == website_id,
            is_one_of(table.c[external_id], ids),
            table.c.deleted_at.is_(None),
        )
    )
    return rows.all()


def _is_unread(row: StoredRow) -> bool:
    return bool(row.version_ms == 0 and row.refresh_due_ms is None)


def _due(website_id: str, row: StoredRow, hint_ms: int) -> Row | None:
    """The earlier of both times to ask, the later of both hints; None when that is what stands there."""
    by_ms = row.now_ms + COALESCE_MS
    due_ms = min(row.refresh_due_ms or by_ms, by_ms)
    newest_ms = max(row.refresh_hint_ms or 0, hint_ms)
    if (due_ms, newest_ms) == (row.refresh_due_ms, row.refresh_hint_ms):
        return None
    return {
        "website_id": website_id,
        "id": row.id,
        "refresh_due_ms": due_ms,
        "refresh_hint_ms": newest_ms,
    }


async def find_due(connection: AsyncConnection, table: Table, limit: int) -> Sequence[Any]:
    """(website_id, id) of the rows that are due now, the longest waiting first."""
    rows = await connection.execute(
        select(table.c.website_id, table.c.id)
        .where(table.c.refresh_due_ms.is_not(None), table.c.refresh_due_ms <= db_now_ms(connection))
        .order_by(table.c.refresh_due_ms)
        .limit(limit)
    )
    return rows.all()


async def claim_due(
    connection: AsyncConnection, table: Table, website_id: str, row_id: str, hold_ms: int
) -> StoredRow | None:
    """The row, put off by `hold_ms` so that nobody else asks meanwhile; None when it is not due any more."""
    claimed = await connection.execute(
        table.update()
        .where(
            table.c.website_id == website_id,
            table.c.id == row_id,
            table.c.refresh_due_ms <= db_now_ms(connection),
        )
        .values(refresh_due_ms=db_now_ms(connection) + hold_ms)
        .returning(*table.c)
    )
    return claimed.one_or_none()


async def claim_now(
    connection: AsyncConnection, table: Table, website_id: str, row_id: str, hold_ms: int
) -> StoredRow | None:
    """The row, whether it is due or not, so that nobody else asks meanwhile; None when there is no such row."""
    claimed = await connection.execute(
        table.update()
        .where(
            table.c.website_id == website_id,
            table.c.id == row_id,
            table.c.deleted_at.is_(None),
        )
        .values(refresh_due_ms=db_now_ms(connection) + hold_ms)
        .returning(*table.c)
    )
    return claimed.one_or_none()


async def put_off(
    connection: AsyncConnection, table: Table, claimed: StoredRow, wait_ms: int | None
) -> None:
    """Ask again after `wait_ms`, or not any more (None); news that came meanwhile keeps its own time."""
    later = None if wait_ms is None else db_now_ms(connection) + wait_ms
    await connection.execute(
        table.update()
        .where(
            table.c.website_id == claimed.website_id,
            table.c.id == claimed.id,
            table.c.refresh_due_ms == claimed.refresh_due_ms,
        )
        .values(refresh_due_ms=later)
    )
