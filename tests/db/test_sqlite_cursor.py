"""SQLite's statements: one trip to the driver's thread each, and everything SQLAlchemy knows of a result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import aiosqlite
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import open_database


@pytest_asyncio.fixture
async def connection(sqlite_url: str) -> AsyncIterator[AsyncConnection]:
    db = open_database(sqlite_url)
    async with db.write() as opened:
        await opened.execute(text("CREATE TEMP TABLE things (id INTEGER PRIMARY KEY, name TEXT)"))
        yield opened
    await db.close()


@contextmanager
def trips(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the functions that the driver's thread is given meanwhile."""
    found: list[str] = []
    go: Any = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, function: Any, *args: Any, **named: Any) -> Any:
        found.append(function.__name__)
        return await go(self, function, *args, **named)

    with patch.context() as meanwhile:
        meanwhile.setattr(aiosqlite.Connection, "_execute", counted)
        yield found


async def test_a_statement_is_one_trip(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails when a new SQLAlchemy or aiosqlite goes another way."""
    put = text("INSERT INTO things (name) VALUES (:name) RETURNING id, name")
    with trips(monkeypatch) as found:
        (row,) = (await connection.execute(put, {"name": "one"})).all()
        assert (row.id, row.name) == (1, "one")
        await connection.exec_driver_sql(
            "INSERT INTO things (name) VALUES (?)", [(str(n),) for n in range(100)]
        )
        assert await connection.scalar(text("SELECT count(*) FROM things")) == 101
    assert len(found) == 3


async def test_what_is_known_of_a_result(connection: AsyncConnection) -> None:
    one = await connection.execute(text("INSERT INTO things (name) VALUES ('a'), ('b')"))
    assert (one.rowcount, one.returns_rows) == (2, False)
    none = await connection.execute(text("SELECT id, name AS called FROM things WHERE id < 0"))
    assert (list(none.keys()), none.all()) == (["id", "called"], [])
    every = await connection.execute(text("SELECT name FROM things ORDER BY id"))
    assert every.fetchone() == ("a",)
    assert every.fetchmany(5) == [("b",)]
    changed = await connection.execute(text("UPDATE things SET name = 'c' WHERE id = 2"))
    assert changed.rowcount == 1


async def test_a_refusal_is_sqlalchemys_and_leaves_nothing(connection: AsyncConnection) -> None:
    await connection.execute(text("INSERT INTO things (id) VALUES (1)"))
    with pytest.raises(IntegrityError, match="UNIQUE constraint failed"):
        await connection.execute(text("INSERT INTO things (id) VALUES (1)"))
    with pytest.raises(OperationalError, match="no such table"):
        await connection.execute(text("SELECT 1 FROM nothings"))
    assert await connection.scalar(text("SELECT count(*) FROM things")) == 1


async def test_what_is_streamed_is_not_read_as_a_whole(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export of a million messages must not stand in memory."""
    endless = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    )
    seen = 0
    with trips(monkeypatch) as found:
        async with connection.stream(endless) as rows:
            async for _ in rows:
                seen += 1
                if seen == 2_500:
                    break
    assert found.count("fetchmany") > 1
