"""Faults of the databases: restarts, deadlocks, cancelled work, two processes on one file."""

import asyncio
import contextlib
import pickle
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import Text, cast, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from app.conversations.tables import messages, operators
from app.db.migrate import upgrade
from app.db.session import Database, open_database
from app.db.upsert import newest_by_key, upsert
from app.errors import DatabaseAway
from app.jobs import PULL, ring_redis
from app.normal import fold_for_search
from app.sync.execute import execute
from app.sync.leases import claim
from app.sync.runs import request_run
from app.sync.tables import sync_runs
from app.tables import metadata
from app.websites.connect import Installed, save_connected
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.program import Program
from tests.fixtures.valkey import free_port
from tests.flows.steps import until
from tests.ingesting import WEBSITE, connected, person, said, talk
from tests.pulling import Crispsync, opened, sandbox_and_crispsync
from workers.main import WorkerSettings

OTHER = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"


@asynccontextmanager
async def database(url: str, pool_size: int = 5) -> AsyncIterator[Database]:
    db = open_database(url, pool_size)
    try:
        yield db
    finally:
        await db.close()


@pytest.fixture
def durable_postgres(own_postgres: PostgresServer) -> PostgresServer:
    """With the schema; what it has committed survives a crash, which the servers of tests do not promise."""
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit TO on")
    own_postgres.restart()
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(upgrade, own_postgres.url).result()
    return own_postgres


async def test_case_074_postgres_restarts_at_once_under_load(
    durable_postgres: PostgresServer,
) -> None:
    """The run goes on by itself or is taken over; nothing is lost, nothing is there twice."""
    async with sandbox_and_crispsync(durable_postgres.url, people=60, conversations=150) as crisp:
        run_id = await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        run = asyncio.create_task(_work_to_the_end(crisp, run_id))
        for enough in (20, 70, 120):
            await until(partial(_has_asked, crisp, run, enough))
            assert not run.done(), "the restarts must meet a run at work"
            await asyncio.to_thread(durable_postgres.restart, "immediate")
        async with asyncio.timeout(60):
            assert await run == "done"
        await crisp.assert_equals_truth()


def _has_asked(crisp: Crispsync, run: asyncio.Task[str], requests: int) -> bool:
    return run.done() or crisp.world.counters.total >= requests


async def _work_to_the_end(crisp: Crispsync, run_id: str) -> str:
    """What workers do, one after another: each claims the run once the lease of the last is over."""
    while True:
        with contextlib.suppress(DatabaseAway):
            held = await claim(crisp.db, "test", 1, run_id)
            if (
                held is not None
                and (state := await execute(crisp.db, crisp.client, held)) != "lost"
            ):
                return state


async def test_case_074_the_first_query_after_a_restart_succeeds(
    durable_postgres: PostgresServer,
) -> None:
    async with database(durable_postgres.url) as db:
        async with db.read() as connection:
            before = await connection.scalar(text("SELECT pg_backend_pid()"))
        await asyncio.to_thread(durable_postgres.restart, "immediate")
        async with db.read() as connection:
            assert await connection.scalar(text("SELECT pg_backend_pid()")) != before


async def test_case_074_a_transaction_that_a_restart_cuts_is_done_again(
    durable_postgres: PostgresServer,
) -> None:
    async with database(durable_postgres.url) as db:
        tries = 0

        async def work(connection: Any) -> None:
            nonlocal tries
            tries += 1
            await connection.execute(_website_row("first"))
            if tries == 1:
                await asyncio.to_thread(durable_postgres.restart, "immediate")
            await connection.execute(_website_row("second"))

        await db.transact(work)
        assert tries == 2
        async with db.read() as connection:
            rows = await connection.execute(text("SELECT id FROM websites ORDER BY id"))
            assert [row.id for row in rows] == ["first", "second"]


def _website_row(website_id: str) -> Any:
    return insert(metadata.tables["websites"]).values(
        id=website_id, name=website_id, status="connected", connected_at=text("now()"), generation=1,
        import_people=True, import_conversations=True, import_notes=True, import_custom_data=False,
        mapping={}, time_zone="UTC",
    )  # fmt: skip


async def test_case_075_a_deadlock_is_tried_again(migrated_postgres_url: str) -> None:
    async with database(migrated_postgres_url) as db:
        for website_id in (WEBSITE, OTHER):
            await save_connected(db, Installed(website_id, "Acme", None))
        tries = {WEBSITE: 0, OTHER: 0}
        both_hold_one = asyncio.Barrier(2)

        async def work(connection: Any, first: str, second: str) -> None:
            tries[first] += 1
            await connection.execute(_renamed(first, f"{first[:8]} was here"))
            if tries[first] == 1:
                await both_hold_one.wait()
            await connection.execute(_renamed(second, f"{first[:8]} was here"))

        await asyncio.gather(
            db.transact(lambda connection: work(connection, WEBSITE, OTHER)),
            db.transact(lambda connection: work(connection, OTHER, WEBSITE)),
        )
        assert sum(tries.values()) == 3, "one of the two was the victim, once"
        names = metadata.tables["websites"].c.name
        async with db.read() as connection:
            assert len({row.name for row in await connection.execute(select(names))}) == 1


def _renamed(website_id: str, name: str) -> Any:
    websites = metadata.tables["websites"]
    return update(websites).where(websites.c.id == website_id).values(name=name)


async def test_case_075_bulk_writers_of_the_same_rows_do_not_deadlock(
    migrated_postgres_url: str,
) -> None:
    """Each gets the rows in another order; written in key order they wait for each other, never around."""
    async with database(migrated_postgres_url, pool_size=8) as db:
        await save_connected(db, Installed(WEBSITE, "Acme", None))

        async def write(seed: int) -> None:
            rows = [
                {"website_id": WEBSITE, "user_id": f"{n:04}", "name": str(seed), "email": None,
                 "role": None} for n in range(400)
            ]  # fmt: skip
            random.Random(seed).shuffle(rows)
            for _ in range(5):
                async with db.write() as connection:  # not transact: a deadlock would fail here
                    key = ("website_id", "user_id")
                    ordered = newest_by_key(rows, key)
                    await upsert(connection, operators, ordered, key=key, update=("name",))

        await asyncio.gather(*(write(seed) for seed in range(8)))
        async with db.read() as connection:
            assert await connection.scalar(select(func.count()).select_from(operators)) == 400


async def test_case_076_twenty_thousand_rows_in_one_upsert(database_url: str) -> None:
    """17 columns: 340,000 values, where a statement may bind 65,535 (PostgreSQL) or 32,766 (SQLite)."""
    async with connected(database_url) as site:
        records = [said("s", n, f"message {n}") for n in range(20_000)]
        outcome = await site.take(talk("s"), *records)
        assert outcome.rejected == []
        assert (await site.conversation("s")).message_count == 20_000
        again = [said("s", n, f"edited {n}", seen=1) for n in range(20_000)]
        await site.take(*again)
        found = await site.rows(
            select(func.count(), func.min(cast(messages.c.body, Text)))
        )  # fmt: skip
        assert tuple(found[0]) == (20_000, "edited 0")


async def test_case_077_a_run_that_is_committed_late_is_claimed_all_the_same(
    migrated_postgres_url: str,
) -> None:
    """Asked for first, committed last: a cursor over ids or times would have gone past it."""
    async with database(migrated_postgres_url) as db:
        for website_id in (WEBSITE, OTHER):
            await save_connected(db, Installed(website_id, "Acme", None))
        async with db.write() as slow:
            await slow.execute(_run(WEBSITE, "a", text("now() - interval '1 hour'")))
            async with db.write() as quick:
                await quick.execute(_run(OTHER, "z", text("now()")))
            first = await claim(db, "test", 10)
            assert first is not None
            assert first.run_id == "z"
            assert await claim(db, "test", 10) is None
        second = await claim(db, "test", 10)
        assert second is not None
        assert second.run_id == "a"
        assert await claim(db, "test", 10) is None


def _run(website_id: str, run_id: str, created_at: Any) -> Any:
    return insert(sync_runs).values(
        website_id=website_id, id=run_id, kind="full", state="queued", started_by="test", requests=0,
        counts={}, checkpoint={}, created_at=created_at, generation=1, lease_epoch=0,
        lease_until_ms=0,
    )  # fmt: skip


async def test_case_078_cancelled_tasks_leave_no_connection_behind(
    migrated_postgres_url: str,
) -> None:
    """Cancelled while they wait for a connection, inside a query, between two, at any await."""
    async with database(migrated_postgres_url, pool_size=4) as db:
        await save_connected(db, Installed(WEBSITE, "Acme", None))

        async def write(connection: Any) -> None:
            await connection.execute(_renamed(WEBSITE, "taken"))
            await connection.execute(text("SELECT pg_sleep(0.002)"))

        async def read() -> None:
            async with db.read() as connection:
                await connection.execute(text("SELECT pg_sleep(0.002)"))

        dice = random.Random(78)
        for _ in range(60):
            tasks = [asyncio.create_task(db.transact(write)) for _ in range(8)]
            tasks += [asyncio.create_task(read()) for _ in range(8)]
            for _ in range(dice.randrange(40)):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(r is None or isinstance(r, asyncio.CancelledError) for r in results)
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of the pool in use
        # What was cut off may still be on its way out in the server; the pool may hold eight.
        with psycopg.connect(migrated_postgres_url, autocommit=True) as watcher:
            await until(lambda: _sessions(watcher) <= 8)
        await db.transact(write)


def _sessions(watcher: psycopg.Connection[Any]) -> int:
    row = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchone()
    assert row is not None
    return int(row[0])


async def test_case_078_a_cancelled_transaction_ends_before_its_caller(database_url: str) -> None:
    """Whole, and with nothing left open that could hold the write lock of SQLite."""
    async with database(database_url) as db:
        for website_id in (WEBSITE, OTHER):
            await save_connected(db, Installed(website_id, "Acme", None))
        half = asyncio.Event()

        async def work(connection: Any) -> None:
            await connection.execute(_renamed(WEBSITE, "cancelled"))
            half.set()
            await asyncio.sleep(0)
            await connection.execute(_renamed(OTHER, "cancelled"))

        task = asyncio.create_task(db.transact(work))
        await half.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        names = select(metadata.tables["websites"].c.name)
        async with db.read() as connection:
            found = {row.name for row in await connection.execute(names)}
        assert found == {"cancelled"}
        async with asyncio.timeout(5):
            await db.transact(lambda connection: connection.execute(_renamed(WEBSITE, "next")))


async def test_case_079_each_unit_of_work_has_a_connection_of_its_own(database_url: str) -> None:
    async with database(database_url) as db:
        both = asyncio.Barrier(3)

        async def used(opening: Any) -> int:
            async with opening as connection:
                await both.wait()
                raw = await connection.get_raw_connection()
                return id(raw.driver_connection)

        used_by = await asyncio.gather(used(db.read()), used(db.read()), used(db.write()))
        assert len(set(used_by)) == 3


async def test_case_080_no_transaction_is_open_while_crisp_is_asked(
    migrated_postgres_url: str,
) -> None:
    """Crisp takes a second for each answer; no session is idle in a transaction for nearly that long."""
    async with sandbox_and_crispsync(
        migrated_postgres_url, people=5, conversations=6, concurrency=4
    ) as crisp:
        crisp.world.delay_ms = 1000
        run = asyncio.create_task(crisp.run("full"))
        query = (
            "SELECT count(*) FILTER (WHERE state LIKE 'idle in transaction%%' "
            "AND clock_timestamp() - state_change > interval '900 ms'), count(*) "
            "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        looks = seen = 0
        watcher = await psycopg.AsyncConnection.connect(migrated_postgres_url, autocommit=True)
        async with watcher:
            while not run.done():
                found = await (await watcher.execute(query)).fetchone()
                assert found is not None
                assert found[0] == 0, "a transaction waits for Crisp"
                looks, seen = looks + 1, max(seen, found[1])
                await asyncio.sleep(0.02)
        assert await run == "done"
        assert looks > 20
        assert seen > 0


async def test_case_080_postgres_itself_ends_what_idles_in_a_transaction(
    migrated_postgres_url: str,
) -> None:
    async with database(migrated_postgres_url) as db, db.read() as connection:
        shown = await connection.scalar(text("SHOW idle_in_transaction_session_timeout"))
        assert shown == "30s"


async def test_case_081_two_writers_that_read_first(sqlite_url: str) -> None:
    """Two pools on one file, as two processes would be: the deferred BEGIN of the driver fails here at once."""
    async with database(sqlite_url) as one, database(sqlite_url) as two:
        await save_connected(one, Installed(WEBSITE, "0", None))

        async def count_up(db: Database) -> None:
            for _ in range(40):
                async with db.write() as connection:  # not transact: nothing is tried again
                    name = await connection.scalar(text("SELECT name FROM websites"))
                    await asyncio.sleep(0)
                    await connection.execute(_renamed(WEBSITE, str(int(name) + 1)))

        await asyncio.gather(*(count_up(db) for db in (one, two, one, two)))
        async with one.read() as connection:
            assert await connection.scalar(text("SELECT name FROM websites")) == "160"


async def test_case_081_a_reader_sees_one_state_while_others_write(sqlite_url: str) -> None:
    async with database(sqlite_url) as db:
        await save_connected(db, Installed(WEBSITE, "before", None))
        async with db.read() as reader:
            assert await reader.scalar(text("SELECT name FROM websites")) == "before"
            async with db.write() as writer:
                await writer.execute(_renamed(WEBSITE, "after"))
            assert await reader.scalar(text("SELECT name FROM websites")) == "before"


def test_case_082_a_second_serve_on_the_same_file_is_refused(program: Program) -> None:
    env = {"DATABASE_URL": f"sqlite:///{program.folder}/data.db"}
    first = program.start("serve", "--port", str(free_port()), env=env)
    first.wait_for_line(r"crispsync serves http")
    second = program.run("serve", "--port", str(free_port()), env=env)
    assert second.code == 2
    assert second.stdout == ""
    assert len(second.stderr.splitlines()) == 1, second.stderr
    assert "Another crispsync is working on this SQLite file" in second.stderr
    assert first.alive
    first.kill()
    third = program.start("serve", "--port", str(free_port()), env=env)
    third.wait_for_line(r"crispsync serves http")  # a killed process holds nothing back


STRICT_TABLES = sorted(set(metadata.tables))


async def test_case_083_every_sqlite_table_is_strict(sqlite_url: str) -> None:
    async with database(sqlite_url) as db, db.read() as connection:
        found = await connection.execute(text("SELECT name, strict FROM pragma_table_list"))
        strict = {row.name for row in found if row.strict}
        assert strict >= set(STRICT_TABLES)


async def test_case_083_text_does_not_get_into_a_number(database_url: str) -> None:
    """SQLite is as strict as PostgreSQL; neither takes what is not a number."""
    from sqlalchemy.exc import DBAPIError

    async with connected(database_url) as site:
        with pytest.raises(DBAPIError):
            await site.execute(text("UPDATE websites SET generation = 'many'"))


async def test_case_083_foreign_keys_are_kept(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1))
        row = (await site.message("s", 1))._mapping
        with pytest.raises(IntegrityError):
            await site.execute(insert(messages).values({**row, "conversation_id": "nobody"}))


async def test_case_083_letters_outside_ascii_fold_the_same_on_both(database_url: str) -> None:
    """SQLite's lower() leaves Ä alone, so what a search looks through is folded before it is stored."""
    async with connected(database_url) as site:
        await site.take(
            person("p", person={"nickname": "ÄRGER GmbH Straße"}, email="ANN@BÜCHER.example"),
            talk("s", meta={"email": "ann@bücher.EXAMPLE", "subject": "ÉTÉ ΣΟΦΟΣ"}),
        )
        found = await site.contact("p")
        assert fold_for_search("ärger gmbh strasse") in found.search
        assert fold_for_search("été σοφοσ") in (await site.conversation("s")).search
        assert await site.owner("s") == "p"


async def test_two_processes_on_postgres_do_not_run_the_same_run(
    migrated_postgres_url: str,
) -> None:
    """Case 77 from the other side: many ask at once, one gets it."""
    async with sandbox_and_crispsync(migrated_postgres_url, people=5, conversations=5) as crisp:
        held = await crisp.claim("full")
        async with opened(crisp.world, crisp.url, migrated_postgres_url) as other:
            claims = [claim(db, "x", 10) for db in (crisp.db, other.db) for _ in range(6)]
            assert await asyncio.gather(*claims) == [None] * 12
        with contextlib.suppress(asyncio.CancelledError):
            assert await execute(crisp.db, crisp.client, held) == "done"


async def test_case_098_nothing_in_redis_is_a_pickle(redis_url: str) -> None:
    """A job is JSON on its way in, on its way out, and where the worker reads it."""
    from redis.asyncio import Redis

    await ring_redis(redis_url)
    async with Redis.from_url(redis_url) as redis:
        found = [await redis.get(key) for key in await redis.keys("arq:job:*")]
    assert len(found) == 1
    job = orjson.loads(found[0])
    assert job["f"] == PULL
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(found[0])  # noqa: S301 - to show that it is none
    worker = WorkerSettings
    assert worker.job_deserializer(worker.job_serializer(job)) == job
    assert worker.job_serializer({"t": 1}) == b'{"t":1}'


# arq closes its connection by the old name.
@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
async def test_case_098_the_worker_runs_what_the_bell_rang_for(redis_url: str) -> None:
    from arq.connections import RedisSettings
    from arq.worker import Worker, func

    heard: list[str] = []

    async def pull(ctx: dict[Any, Any], *_: Any, **__: Any) -> None:
        heard.append(PULL)

    await ring_redis(redis_url)
    worker = Worker(
        functions=[func(pull, name=PULL)], burst=True,
        redis_settings=RedisSettings.from_dsn(redis_url),
        job_serializer=WorkerSettings.job_serializer, keep_result=0, poll_delay=0.01,
        job_deserializer=WorkerSettings.job_deserializer, handle_signals=False,
    )  # fmt: skip
    try:
        assert await worker.run_check() == 1
    finally:
        await worker.close()
    assert heard == [PULL]
