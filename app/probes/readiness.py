"""`/readyz`: each part's state. Not ready only without the database: all else waits or goes on by itself."""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import SQLAlchemyError

from app.db.session import Database
from app.errors import CrispsyncError
from app.jobs import look_at_redis
from app.sync.processes import working

PATIENCE = 2.0  # seconds
READY = "ready"


async def read_parts(db: Database, redis_url: str | None) -> tuple[dict[str, str], bool]:
    """(each part's state in a word or two, whether requests can be served)."""
    (database, worker), redis = await asyncio.gather(_database(db), _redis(redis_url))
    return {"database": database, "redis": redis, "worker": worker}, database == READY


async def _database(db: Database) -> tuple[str, str]:
    try:
        async with asyncio.timeout(PATIENCE), db.read() as connection:
            found = await working(connection)
    except (CrispsyncError, SQLAlchemyError, OSError, TimeoutError) as error:
        return f"away ({type(error).__name__})", "unknown"
    return READY, f"{len(found)} working" if found else "none has told of itself"


async def _redis(url: str | None) -> str:
    """Not needed to serve: it is only the bell (FAILURES cases 22, 85)."""
    if url is None:
        return "not used"
    seen = await look_at_redis(url)
    if seen.away is not None:
        return f"away ({seen.away})"
    return READY if seen.refuses is None else f"takes no writes ({seen.refuses})"
