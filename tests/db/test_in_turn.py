"""Several statements on one way to the server: each sees what those before it waited for."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import bindparam, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.tables import audit_log
from app.db.in_turn import Query, planning_once, run_in_turn
from app.db.session import Database
from app.db.sqlstate import is_bad_value
from app.db.upsert import lock_key, locks_of
from tests.ingesting import connected

_NAMED = text("SELECT name FROM websites WHERE id = :id")


async def test_rows_of_each_in_order(database_url: str) -> None:
    async with connected(database_url) as site, site.db.write() as connection:
        answers = await run_in_turn(
            connection,
            *locks_of(connection, "a key"),
            Query(_NAMED, {"id": site.id}),
            Query(_NAMED, {"id": "nobody"}),
        )
        named, nobody = answers[-2:]
        assert [tuple(row) for row in named] == [("Acme Chat",)]
        assert list(nobody) == []
        assert locks_of(connection, "a key") == [], "held until the transaction ends"


async def test_a_statement_sees_what_was_committed_while_the_lock_was_waited_for(
    migrated_postgres_url: str,
) -> None:
    """One statement with both would have looked before it waited. FAILURES case 51"""
    async with connected(migrated_postgres_url) as site:
        asked = asyncio.Event()

        async def second(db: Database) -> str:
            async with db.write() as connection:
                asked.set()
                *_, rows = await run_in_turn(
                    connection, *locks_of(connection, "a key"), Query(_NAMED, {"id": site.id})
                )
                return str(rows[0][0])

        async with site.db.write() as connection:
            await lock_key(connection, "a key")
            waiting = asyncio.create_task(second(site.db))
            await asked.wait()
            done, _ = await asyncio.wait({waiting}, timeout=0.3)
            assert not done
            await connection.execute(
                text("UPDATE websites SET name = 'renamed' WHERE id = :id"), {"id": site.id}
            )
        assert await waiting == "renamed"


async def test_what_is_refused_is_refused_as_by_a_statement_of_its_own(database_url: str) -> None:
    async with connected(database_url) as site:
        wrong = insert(audit_log).values(id=bindparam("own")).returning(audit_log.c.id)
        asked = Query(_NAMED, {"id": site.id}), Query(wrong, {"own": None})
        with pytest.raises(DBAPIError) as refused:
            await site.db.transact(lambda connection: run_in_turn(connection, *asked))
        assert is_bad_value(refused.value)
        async with site.db.read() as connection:
            assert (await run_in_turn(connection, Query(_NAMED, {"id": site.id})))[0]


async def test_case_074_a_connection_that_is_lost_is_another_try(
    migrated_postgres_url: str,
) -> None:
    """Not through SQLAlchemy's own hands, and yet told from a value that the database refuses."""
    async with connected(migrated_postgres_url) as site:
        tries = 0

        async def work(connection: AsyncConnection) -> str:
            nonlocal tries
            tries += 1
            if tries == 1:
                pid = await connection.scalar(text("SELECT pg_backend_pid()"))
                async with site.db.write() as other:
                    await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            (rows,) = await run_in_turn(connection, Query(_NAMED, {"id": site.id}))
            return str(rows[0][0])

        assert await site.db.transact(work) == "Acme Chat"
        assert tries == 2


async def test_statements_of_one_transaction_are_planned_once(migrated_postgres_url: str) -> None:
    shown = text("SHOW plan_cache_mode")
    async with connected(migrated_postgres_url) as site:
        async with site.db.write() as connection:
            await run_in_turn(connection, *planning_once(connection))
            assert await connection.scalar(shown) == "force_generic_plan"
        async with site.db.write() as connection:
            assert await connection.scalar(shown) == "auto", "the pages' questions differ"
