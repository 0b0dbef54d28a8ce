"""Plans: PostgreSQL, which knows nothing of its tables yet in a first import, reads none whole; indexes fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.begun import find_begun
from app.conversations.tables import conversations
from app.conversations.threads import _recounting
from app.db.session import Database, open_database
from app.db.statistics import ensure_statistics
from app.edits.wishes import group_of, unmatched_of
from tests.pages import rows
from tests.pages.rows import SITE, put

pytestmark = pytest.mark.asyncio

TALKS = [f"talk {number}" for number in range(100)]


@pytest_asyncio.fixture
async def db(migrated_postgres_url: str) -> AsyncIterator[Database]:
    opened = open_database(migrated_postgres_url)
    async with opened.engine.begin() as connection:  # which would know more than the test thinks
        await connection.execute(text("ALTER TABLE messages SET (autovacuum_enabled = off)"))
    talks = [rows.conversation(talk) for talk in TALKS]
    said = [rows.message(talk, number, "said") for talk in TALKS for number in range(30)]
    await put(opened, [rows.website(), *talks, *said])
    yield opened
    await opened.close()


async def rows_read(connection: AsyncConnection) -> int:
    """Rows of the messages and entries of their indexes that this transaction has looked at so far."""
    counted = text(
        "SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_numscans(oid)) "
        "FROM pg_class WHERE relname IN ('messages', 'pk_messages', 'ix_messages_words')"
    )
    return int(await connection.scalar(counted) or 0)


async def test_which_threads_are_known_is_asked_thread_by_thread(db: Database) -> None:
    asked = [rows.an_id("nobody", number) for number in range(18)] + TALKS[:2]

    async def work(connection: AsyncConnection) -> tuple[set[str], int]:
        before = await rows_read(connection)
        begun = await find_begun(connection, SITE, asked)
        return set(begun.ids), await rows_read(connection) - before

    found, read = await db.transact(work)
    assert found == set(TALKS[:2])
    # One look into an index for each, and a row of those that are known: not 3,000 messages.
    assert read <= 3 * len(asked)


async def known_pages(db: Database) -> Any:
    """The pages that PostgreSQL knows of, once it was told to look where it knows too little."""

    async def work(connection: AsyncConnection) -> Any:
        await ensure_statistics(connection, "messages")
        return await connection.scalar(
            text("SELECT relpages FROM pg_class WHERE relname = 'messages'")
        )

    return await db.transact(work)


async def test_a_table_that_has_grown_is_looked_at_again(db: Database) -> None:
    pages = await known_pages(db)
    assert pages > 0
    more = [rows.message(talk, number, "more") for talk in TALKS[:10] for number in range(30, 60)]
    await put(db, more)
    assert await known_pages(db) == pages, "a tenth more changes no plan"
    await put(
        db, [rows.message(talk, number, "x" * 500) for talk in TALKS for number in range(60, 160)]
    )
    assert await known_pages(db) > pages


async def test_threads_are_counted_without_the_others(db: Database) -> None:
    """What SPEC V4's lists show of a conversation is counted anew with each message."""

    async def work(connection: AsyncConnection) -> int:
        before = await rows_read(connection)
        await connection.execute(_recounting(), {"website": SITE, "conversations": TALKS[:2]})
        return await rows_read(connection) - before

    # Thirty messages of each, in the index and in the table; not all 3,000.
    assert 0 < await db.transact(work) <= 200


async def test_an_index_knows_the_domain_of_an_address(database_url: str) -> None:
    """The index and the question name the same expression, letter by letter."""
    opened = open_database(database_url)
    where = [*unmatched_of(SITE), *group_of(SITE, "unknown_email", "acme.example")]
    query = select(func.count()).select_from(conversations).where(*where)
    async with opened.read() as connection:
        dialect = connection.dialect
        if dialect.name == "postgresql":
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        told = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN" if dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = await connection.exec_driver_sql(f"{explain} {told}")
        lines = " ".join(str(row) for row in plan)
    await opened.close()
    assert "ix_conversations_unmatched_domain" in lines, lines
