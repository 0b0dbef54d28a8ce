"""What PostgreSQL knows of a table's content before it has looked at it by itself."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.in_turn import Later, Query, execute_later

_UNKNOWN = text(
    "SELECT c.relname FROM pg_class c WHERE c.relname = ANY(CAST(:names AS name[])) "
    "AND c.relkind = 'r' AND pg_table_is_visible(c.oid) AND pg_relation_size(c.oid) > "
    "4 * greatest(c.relpages, 0) * current_setting('block_size')::bigint"
)


async def ensure_statistics(connection: AsyncConnection, *tables: str) -> None:
    """ANALYZE those that have grown to four times what PostgreSQL knows of (SQLite: see `typical.py`).

    Until autovacuum comes by, a minute later, all indexes of a table that is believed to be empty look
    equally good: each message of a first import would be checked against its conversation by reading
    an index of the whole website (docs/why.md).
    """
    if connection.dialect.name == "postgresql":
        asked = Later(asking_unknown(tables), lambda rows: _analyze([row[0] for row in rows]))
        await execute_later(connection, asked)


def asking_unknown(tables: Sequence[str]) -> Query:
    """Those of the tables that have grown so. PostgreSQL only."""
    return Query(_UNKNOWN, {"names": list(tables)})


async def make_known(connection: AsyncConnection, tables: Sequence[str]) -> None:
    await execute_later(connection, *_analyze(tables))


def _analyze(tables: Sequence[str]) -> list[Later]:
    return [Later(Query(text(f"ANALYZE {name}"), {})) for name in tables]
