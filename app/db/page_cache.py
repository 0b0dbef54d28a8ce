"""How much of a SQLite file is kept in memory: little for each connection, more for one large change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

USUAL = "cache_size=-4000"
"""4 MB (sqlite.org/pragma.html#pragma_cache_size): there are several connections, and a pull keeps to 200 MB."""
_LARGE = "cache_size=-64000"


@asynccontextmanager
async def large_page_cache(connection: AsyncConnection) -> AsyncIterator[None]:
    """For a change of very many rows: it comes to each page of each index again and again, in no order.

    Nothing on PostgreSQL, whose memory belongs to the server.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    await connection.exec_driver_sql(f"PRAGMA {_LARGE}")
    try:
        yield
    finally:
        await connection.exec_driver_sql(f"PRAGMA {USUAL}")
