"""`crispsync migrate`, and opening the database for the other verbs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.db.migrate import upgrade
from app.db.session import Database, open_database
from app.logs import configure_logs
from app.settings import Settings, get_settings

T = TypeVar("T")


def migrate() -> str:
    done = upgrade(get_settings().database_url)
    return "The database is up to date now." if done else "The database was up to date."


def with_database(work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """Migrate if needed, open, run `work` to its end, close. Raises what `work` raises."""
    settings = get_settings()
    configure_logs()
    upgrade(settings.database_url)

    async def run() -> T:
        db = open_database(settings.database_url)
        try:
            return await work(db, settings)
        finally:
            await db.close()

    return run_loop(run)


def run_loop(work: Callable[[], Awaitable[T]]) -> T:
    """On uvloop where there is one: a third more requests a second (docs/why.md)."""

    async def main() -> T:
        return await work()

    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    return uvloop.run(main())
