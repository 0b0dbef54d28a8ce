"""The right to work on a row, on the database's clock: claimed for a while, proved in every transaction.

For tables with the columns state, lease_owner, lease_epoch and lease_until_ms. A claim is worth only
as long as its epoch is the newest: whoever lost it writes nothing, however late it wakes up
(FAILURES cases 34, 52).
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ColumnElement, Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.upsert import db_now_ms, lock_key


class LeaseLost(Exception):  # said to the own process only, it is no error of the work
    """Somebody else has the work, or it is no longer to be done; nothing was written."""


class Held(Protocol):
    @property
    def website_id(self) -> str: ...
    @property
    def row_id(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def lease_ms(self) -> int: ...


async def database_ms(connection: AsyncConnection) -> int:
    return int(await connection.scalar(select(db_now_ms(connection))) or 0)


async def lock_oldest(
    connection: AsyncConnection, table: Table, waits: ColumnElement[bool], lock: str
) -> Any:
    """The oldest row that waits, which nobody else can claim meanwhile; None when there is none."""
    query = select(table).where(waits).order_by(table.c.created_at).limit(1)
    if connection.dialect.name != "sqlite":
        query = query.with_for_update(skip_locked=True, of=table)
        await lock_key(connection, lock)
    return (await connection.execute(query)).one_or_none()


def lease_values(row: Any, owner: str, now_ms: int, lease_ms: int) -> dict[str, Any]:
    """The columns of a row that is claimed now; its epoch is the next one."""
    return {
        "lease_owner": owner,
        "lease_epoch": row.lease_epoch + 1,
        "lease_until_ms": now_ms + lease_ms,
    }


async def prove(
    connection: AsyncConnection,
    table: Table,
    held: Held,
    states: tuple[str, ...],
    *also: ColumnElement[bool],
    **values: Any,
) -> Any:
    """Within this transaction the row is still ours, and its lease is renewed; the row as it is then.

    Raises LeaseLost, which undoes the transaction.
    """
    statement = (
        update(table)
        .where(
            table.c.website_id == held.website_id,
            table.c.id == held.row_id,
            table.c.lease_epoch == held.epoch,
            table.c.state.in_(states),
            *also,
        )
        .values(lease_until_ms=db_now_ms(connection) + held.lease_ms, **values)
        .returning(*table.c)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise LeaseLost
    return row
