"""SQLite plans by the statistics of a typical database, whatever is in this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from app.db.migrate import open_for_migration
from app.db.session import Database, open_database
from app.db.typical import TYPICAL, write_typical_statistics
from app.insights.risk import accounts_at_risk
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
        found = await accounts_at_risk(connection, SITE, NOW, None)
        await driver.set_progress_handler(None, 0)
    assert found.by_reason["silent"] == COMPANIES
    return len(counted)


async def test_it_plans_by_a_typical_database(db: Database) -> None:
    await fill(db)
    planned = await steps(db)
    async with db.write() as connection:
        await connection.execute(text("DELETE FROM sqlite_stat1"))
    await db.engine.dispose()
    assert planned < await steps(db) / 5


async def test_every_index_of_these_tables_is_typical(db: Database) -> None:
    async with db.read() as connection:
        told = await connection.execute(text("SELECT tbl, idx, stat FROM sqlite_stat1"))
        known = {row.idx: row for row in told}
        tables = {row.tbl for row in known.values()}
        found = await connection.execute(
            text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'")
        )
        indexes = {row.name for row in found if row.tbl_name in tables}
    assert indexes == set(known) == set(TYPICAL)
    for name, row in known.items():
        numbers = [int(number) for number in row.stat.split()]
        assert numbers == sorted(numbers, reverse=True), name


async def test_what_somebody_else_found_is_replaced(sqlite_url: str) -> None:
    with open_for_migration(sqlite_url) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE sqlite_stat1 SET stat = '1 1 1'")
        write_typical_statistics(connection)
        rows = connection.exec_driver_sql("SELECT idx, stat FROM sqlite_stat1").all()
    assert {row.idx: row.stat for row in rows} == dict(TYPICAL)
