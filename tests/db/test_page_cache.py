"""A large change on SQLite has room for the pages it comes back to, and gives it back."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.db.in_turn import Later, execute_later
from app.db.page_cache import large_page_cache
from app.matching import link
from app.matching.link import relink
from tests.ingesting import connected, talk


async def _size(connection: AsyncConnection) -> int:
    """In KiB."""
    found = await connection.exec_driver_sql("PRAGMA cache_size")
    return -int(found.scalar_one())


async def test_more_for_as_long_as_it_takes(sqlite_url: str) -> None:
    async with connected(sqlite_url) as site, site.db.write() as connection:
        usual = await _size(connection)
        async with large_page_cache(connection):
            assert await _size(connection) >= 10 * usual
        assert await _size(connection) == usual
        with pytest.raises(ZeroDivisionError):
            async with large_page_cache(connection):
                raise ZeroDivisionError
        assert await _size(connection) == usual


async def test_postgresql_has_its_own(migrated_postgres_url: str) -> None:
    async with (
        connected(migrated_postgres_url) as site,
        site.db.write() as connection,
        large_page_cache(connection),
    ):
        assert (await connection.execute(conversations.select())).all() == []


@pytest.mark.parametrize("many", [1, 5])
async def test_linking_many_has_it(
    sqlite_url: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    async def watched(connection: AsyncConnection, *wanted: Later) -> None:
        sizes.append(await _size(connection))
        await execute_later(connection, *wanted)

    async with connected(sqlite_url) as site:
        await site.take(*(talk(f"s{n}") for n in range(3)))
        monkeypatch.setattr(link, "MANY", many)
        monkeypatch.setattr(link, "execute_later", watched)
        async with site.db.write() as connection:
            usual = await _size(connection)
            ids = [row.id for row in await connection.execute(conversations.select())]
            await relink(connection, site.id, ids)
            assert await _size(connection) == usual
    assert {size > usual for size in sizes} == {many < len(ids)}
