"""A key is held until its transaction ends, asked for once, and by nobody else meanwhile (FAILURES case 75)."""

from __future__ import annotations

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database, open_database
from app.db.upsert import lock_key

HELD = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")


async def _held(connection: AsyncConnection) -> int:
    return int(await connection.scalar(HELD) or 0)


def _asked(db: Database) -> list[str]:
    found: list[str] = []

    @event.listens_for(db.engine.sync_engine, "before_cursor_execute")
    def note(*given: object) -> None:
        if "pg_advisory_xact_lock" in str(given[2]):
            found.append(str(given[2]))

    return found


async def test_one_transaction_asks_once_and_the_next_one_again(migrated_postgres_url: str) -> None:
    db = open_database(migrated_postgres_url, pool_size=1)
    asked = _asked(db)
    for round_ in (1, 2):
        async with db.write() as connection:
            for _ in range(3):
                await lock_key(connection, "a")
            assert await _held(connection) == 1
        assert len(asked) == round_
    await db.close()


async def test_after_a_rollback_it_is_taken_again(migrated_postgres_url: str) -> None:
    db = open_database(migrated_postgres_url, pool_size=1)
    async with db.engine.connect() as connection:
        await lock_key(connection, "a")
        await connection.rollback()
    async with db.write() as connection:
        await lock_key(connection, "a")
        assert await _held(connection) == 1
    await db.close()


async def test_what_a_savepoint_gave_back_is_taken_again(migrated_postgres_url: str) -> None:
    db = open_database(migrated_postgres_url, pool_size=1)
    async with db.write() as connection:
        savepoint = await connection.begin_nested()
        await lock_key(connection, "a")
        await savepoint.rollback()
        assert await _held(connection) == 0
        await lock_key(connection, "a")
        assert await _held(connection) == 1
        savepoint = await connection.begin_nested()
        await lock_key(connection, "a")
        await savepoint.rollback()
        assert await _held(connection) == 1  # it was held before the savepoint
    await db.close()
