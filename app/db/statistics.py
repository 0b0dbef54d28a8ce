"""What a database knows of the content of its tables, which is what it plans by."""

from __future__ import annotations

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database

_UNKNOWN = text(
    "SELECT c.relname FROM pg_class c WHERE c.relname IN :names AND c.relkind = 'r' "
    "AND pg_table_is_visible(c.oid) AND pg_relation_size(c.oid) > "
    "4 * greatest(c.relpages, 0) * current_setting('block_size')::bigint"
).bindparams(bindparam("names", expanding=True))


async def ensure_statistics(connection: AsyncConnection, *tables: str) -> None:
    """ANALYZE those that have grown to four times what PostgreSQL knows of; SQLite, see `keep_statistics`.

    Until autovacuum comes by, a minute later, all indexes of a table that is believed to be empty look
    equally good: each message of a first import would be checked against its conversation by reading
    an index of the whole website (docs/why.md).
    """
    if connection.dialect.name != "postgresql":
        return
    for name in await connection.scalars(_UNKNOWN, {"names": tables}):
        await connection.execute(text(f"ANALYZE {name}"))


GROWN, LEAST = 4, 1_000
ROWS_READ = 400
"""Of each index: the look at two million messages takes 0.4 s (sqlite.org/lang_analyze.html, 2.1)."""
_WATCHED = ("contacts", "companies", "conversations", "conversation_companies", "messages")
_SIZES = text(
    "SELECT " + ", ".join(f"(SELECT max(rowid) FROM {name}) AS {name}" for name in _WATCHED)  # noqa: S608  # constants
)


async def keep_statistics(db: Database) -> bool:
    """ANALYZE when a table of SQLite has grown to four times what it knows of; whether it did.

    Without, it takes all indexes of a table for equally good: the accounts at risk among 200,000
    conversations took two minutes instead of 60 ms. PostgreSQL looks by itself.
    """
    if not db.is_sqlite:
        return False
    async with db.read() as connection:
        if not await _have_grown(connection):
            return False

    async def look(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql(f"PRAGMA analysis_limit = {ROWS_READ}")
        await connection.exec_driver_sql("ANALYZE")

    await db.transact(look)
    # A connection plans by what it read when it was opened.
    await db.engine.dispose()
    return True


async def _have_grown(connection: AsyncConnection) -> bool:
    now = (await connection.execute(_SIZES)).mappings().one()
    known = dict.fromkeys(_WATCHED, 0)
    if await connection.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'")):
        rows = await connection.execute(
            text(
                "SELECT tbl, CAST(stat AS INTEGER) FROM sqlite_stat1 WHERE idx LIKE '%autoindex%_1'"
            )
        )
        known |= {row[0]: row[1] for row in rows}
    return any((now[name] or 0) > max(LEAST, GROWN * known[name]) for name in _WATCHED)
