"""SQLite plans by what is in its tables: in its process, without anybody who asks it to look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from app.db.session import Database, open_database
from app.db.statistics import LEAST, keep_statistics
from app.insights.risk import accounts_at_risk
from app.privacy.keeping import look_once
from app.settings import Settings
from tests.pages import rows
from tests.pages.rows import SITE, put

NOW = datetime(2031, 1, 1, tzinfo=UTC)
COMPANIES, EACH = 60, 30


@pytest_asyncio.fixture
async def db(sqlite_url: str) -> AsyncIterator[Database]:
    opened = open_database(sqlite_url)
    yield opened
    await opened.close()


async def fill(db: Database) -> None:
    """Companies with conversations that nobody wrote in for long."""
    found = [rows.website()]
    for n in range(COMPANIES):
        found.append(rows.company(f"f{n}"))
        for k in range(EACH):
            found += [rows.conversation(f"c{n}-{k}"), rows.belongs(f"c{n}-{k}", f"f{n}")]
    await put(db, found)


async def steps(db: Database) -> int:
    """How many thousand steps SQLite takes to find the accounts at risk (sqlite.org/c3ref/progress_handler)."""
    counted: list[int] = []

    def count() -> int:
        counted.append(1)
        return 0  # go on

    async with db.read() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.set_progress_handler(count, 1000)
        found = await accounts_at_risk(connection, SITE, NOW)
        await driver.set_progress_handler(None, 0)
    assert found.by_reason["silent"] == COMPANIES
    return len(counted)


async def test_a_table_that_has_grown_is_looked_at_once(db: Database) -> None:
    assert not await keep_statistics(db), "nothing is there"
    await fill(db)
    async with db.read() as connection:  # a second connection, which was opened before
        assert await connection.scalar(text("SELECT 1")) == 1
    before = await steps(db)
    await look_once(db, Settings())
    assert await steps(db) < before / 5
    assert not await keep_statistics(db), "it knows all of them"


async def test_a_few_more_are_no_reason(db: Database) -> None:
    await fill(db)
    assert await keep_statistics(db)
    more = [rows.conversation(f"more{n}") for n in range(LEAST // 2)]
    await put(db, more)
    assert not await keep_statistics(db)
    await put(db, [rows.message("c0-0", n, "said") for n in range(LEAST + 1)])
    assert await keep_statistics(db)


async def test_postgresql_looks_by_itself(migrated_postgres_url: str) -> None:
    opened = open_database(migrated_postgres_url)
    await fill(opened)
    assert not await keep_statistics(opened)
    await opened.close()
