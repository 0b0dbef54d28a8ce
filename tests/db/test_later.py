"""Statements nobody waits for: executed in their order, before anything else is asked, or refused in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import bindparam, event, insert, select, text, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.tables import audit_log
from app.db.in_turn import LARGE, MOST_WAITING, Later, Query, execute_later, run_in_turn
from app.db.sqlstate import is_bad_value
from app.websites.tables import websites
from tests.ingesting import Site, connected

_NAMED = text("SELECT name FROM websites WHERE id = :id")
_APPEND = (
    update(websites)
    .where(websites.c.id == bindparam("own"))
    .values(name=websites.c.name.concat(bindparam("more")))
)
_WRONG = insert(audit_log).values(id=bindparam("own"))
_WRONG_AND_LARGE = text("INSERT INTO audit_log (id) VALUES (:own)")


def append(site: Site, more: str) -> Later:
    return Later(Query(_APPEND, {"own": site.id, "more": more}))


async def name_of(site: Site) -> str:
    async with site.db.read() as connection:
        return str(await connection.scalar(_NAMED, {"id": site.id}))


async def test_in_their_order_and_committed(database_url: str) -> None:
    async with connected(database_url) as site:
        before = await name_of(site)
        async with site.db.write() as connection:
            await execute_later(connection, append(site, "1"), append(site, "2"))
            await execute_later(connection, append(site, "3"))
        assert await name_of(site) == f"{before}123"


@pytest.mark.parametrize("asks", ["by SQLAlchemy", "in turn"])
async def test_whoever_asks_sees_them(database_url: str, asks: str) -> None:
    async with connected(database_url) as site, site.db.write() as connection:
        await execute_later(connection, append(site, " later"))
        if asks == "in turn":
            ((found,),) = await run_in_turn(connection, Query(_NAMED, {"id": site.id}))
            assert str(found[0]).endswith(" later")
        else:
            found = await connection.scalar(_NAMED, {"id": site.id})
            assert str(found).endswith(" later")


async def test_what_came_of_it_is_heard_and_followed(database_url: str) -> None:
    """Also at the commit, and what follows may be followed itself."""
    heard: list[str] = []

    async with connected(database_url) as site:

        def hear(rows: Sequence[Any]) -> Iterable[Later]:
            heard.extend(row[0] for row in rows)
            return [append(site, "!"), Later(Query(_NAMED, {"id": site.id}), hear_all)]

        def hear_all(rows: Sequence[Any]) -> None:
            heard.extend(row[0] for row in rows)

        async with site.db.write() as connection:
            await execute_later(connection, append(site, "?"))
            await execute_later(connection, Later(Query(_NAMED, {"id": site.id}), hear))
        now = await name_of(site)
    assert heard == [now.removesuffix("!"), now]
    assert now.endswith("?!")


async def test_many_do_not_wait_for_each_other(migrated_postgres_url: str) -> None:
    async with connected(migrated_postgres_url) as site, site.db.write() as connection:
        await execute_later(connection, *(append(site, "x") for _ in range(MOST_WAITING - 1)))
        assert not await _has_written(connection)
        await execute_later(connection, append(site, "x"))
        assert await _has_written(connection)


async def _has_written(connection: AsyncConnection) -> bool:
    """Past everything that would send what waits."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    cursor = await driver.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
    return bool((await cursor.fetchone())[0])


async def test_more_than_fits_on_the_way_at_once(database_url: str) -> None:
    """Whoever only writes, and never looks whether all of it went, waits for a server that waits for the rest."""
    much = "x" * 8_000_000
    async with connected(database_url) as site, asyncio.timeout(60):
        before = await name_of(site)
        async with site.db.write() as connection:
            await execute_later(connection, *(append(site, much) for _ in range(2)))
            ((found,),) = await run_in_turn(
                connection,
                Query(text("SELECT length(name) FROM websites WHERE id = :id"), {"id": site.id}),
            )
            await execute_later(connection, append(site, much), append(site, "."))
        assert found[0] == len(before) + 2 * len(much)
        assert len(await name_of(site)) == len(before) + 3 * len(much) + 1


async def test_a_large_one_is_begun_while_the_next_are_made(migrated_postgres_url: str) -> None:
    """Nobody asks for it: the server has begun all the same."""
    begun = text("SELECT backend_xid IS NOT NULL FROM pg_stat_activity WHERE pid = :pid")
    async with connected(migrated_postgres_url) as site, site.db.write() as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))

        async def has_begun() -> bool:
            async with site.db.read() as other:
                return bool(await other.scalar(begun, {"pid": pid}))

        await execute_later(connection, append(site, "small"))
        assert not await has_begun()
        await execute_later(connection, append(site, "x" * LARGE))
        async with asyncio.timeout(30):
            while not await has_begun():
                pass
        await execute_later(connection, append(site, "last"))
        found = await connection.scalar(_NAMED, {"id": site.id})
        assert str(found).endswith("small" + "x" * LARGE + "last")


async def test_the_last_go_with_the_commit(migrated_postgres_url: str) -> None:
    """When it is SQLAlchemy's turn to commit, it is done: its way to the server and back is saved."""
    found: list[TransactionStatus] = []

    def look(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        found.append(driver.info.transaction_status)

    async with connected(migrated_postgres_url) as site:
        before = await name_of(site)
        async with site.db.write() as connection:
            event.listen(connection.sync_connection, "commit", look)
            await execute_later(connection, append(site, "!"))
        assert found == [TransactionStatus.IDLE]
        assert await name_of(site) == f"{before}!"


@pytest.mark.parametrize("size", [1, LARGE, 8_000_000])
async def test_nothing_is_left_of_it_after_a_rollback(database_url: str, size: int) -> None:
    async with connected(database_url) as site:
        before = await name_of(site)
        async with site.db.engine.connect() as connection:
            await connection.execute(select(1))
            await execute_later(connection, append(site, "x" * size), append(site, "x" * size))
            await connection.rollback()
            await connection.execute(select(1))
            await connection.commit()
        assert await name_of(site) == before


async def test_a_large_one_that_is_refused_is_told_by_whatever_comes_next(
    database_url: str,
) -> None:
    wrong = Later(Query(_WRONG_AND_LARGE, {"own": "x" * LARGE}))

    async with connected(database_url) as site:
        before = await name_of(site)

        async def work(site: Site) -> None:
            async with site.db.write() as connection:
                await execute_later(connection, append(site, " never"))
                await execute_later(connection, wrong)
                await execute_later(connection, append(site, "x" * LARGE))
                await connection.scalar(_NAMED, {"id": site.id})

        for _ in range(2):  # the connection goes back to the pool, and is as good as before
            with pytest.raises(DBAPIError):
                await work(site)
        assert await name_of(site) == before


async def test_nothing_waits_for_a_commit_that_does_not_come(database_url: str) -> None:
    async with connected(database_url) as site, site.db.engine.connect() as connection:
        with pytest.raises(RuntimeError, match="in a transaction only"):
            await execute_later(connection, append(site, " never"))


async def test_what_is_refused_undoes_the_transaction(database_url: str) -> None:
    """Told as of any statement, if only at the commit. FAILURES case 53"""
    async with connected(database_url) as site:
        before = await name_of(site)

        async def work() -> None:
            async with site.db.write() as connection:
                await execute_later(connection, append(site, " never"))
                await execute_later(connection, Later(Query(_WRONG, {"own": None})))
                await execute_later(connection, append(site, " either"))

        with pytest.raises(DBAPIError) as refused:
            await work()
        assert is_bad_value(refused.value)
        assert await name_of(site) == before
        async with site.db.write() as connection:
            await execute_later(connection, append(site, " again"))
        assert await name_of(site) == f"{before} again"


async def test_behind_a_savepoint_it_is_known_which_was_refused(database_url: str) -> None:
    async with connected(database_url) as site:
        before = await name_of(site)

        async def work(connection: AsyncConnection) -> None:
            async with connection.begin_nested():
                await execute_later(connection, append(site, " never"))
                await execute_later(connection, Later(Query(_WRONG, {"own": None})))
                pytest.fail("it was not executed at once")

        async with site.db.write() as connection:
            await execute_later(connection, append(site, " kept"))
            with pytest.raises(DBAPIError):
                await work(connection)
            await execute_later(connection, append(site, " too"))
        assert await name_of(site) == f"{before} kept too"


async def test_case_074_connection_lost_at_the_commit_is_another_try(
    migrated_postgres_url: str,
) -> None:
    async with connected(migrated_postgres_url) as site:
        before, tries = await name_of(site), 0

        async def work(connection: AsyncConnection) -> None:
            nonlocal tries
            tries += 1
            pid = await connection.scalar(text("SELECT pg_backend_pid()"))
            await execute_later(connection, append(site, "+"))
            if tries == 1:
                async with site.db.write() as other:
                    await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

        await site.db.transact(work)
        assert tries == 2
        assert await name_of(site) == f"{before}+"
