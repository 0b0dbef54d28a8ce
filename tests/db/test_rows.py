"""Writing many rows, and columns that mean the same on both databases."""

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    StatementError,
)

from app.conversations.tables import messages
from app.db.migrate import upgrade
from app.db.runner_lock import try_runner_lock
from app.db.session import normal_url, open_database
from app.db.sqlstate import is_bad_value, is_transient
from app.db.upsert import Merge, newest_by_key, update_rows, upsert
from app.errors import DatabaseAway, DatabaseTooNew, DiskFull, Refused
from app.websites.tables import websites
from tests.ingesting import WEBSITE, connected, moment, person, said, talk

KEY = ("website_id", "conversation_id", "fingerprint")
ROWS = st.lists(
    st.fixed_dictionaries(
        {"a": st.integers(0, 3), "b": st.sampled_from("xy"), "version_ms": st.integers(0, 3),
         "observed_ms": st.integers(0, 3), "n": st.integers()}
    ), max_size=12,
)  # fmt: skip


@given(ROWS)
def test_case_075_newest_by_key_keeps_each_key_once_in_order(rows: list[dict[str, Any]]) -> None:
    kept = newest_by_key(rows, ("a", "b"))
    keys = [(row["a"], row["b"]) for row in kept]
    assert keys == sorted({(row["a"], row["b"]) for row in rows})
    for row in kept:
        assert row in rows
        rivals = [r for r in rows if (r["a"], r["b"]) == (row["a"], row["b"])]
        assert all(
            (r["version_ms"], r["observed_ms"]) <= (row["version_ms"], row["observed_ms"])
            for r in rivals
        )


async def test_the_guard_lets_only_newer_news_in(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1, "stored", at=5, seen=5))
        row = dict((await site.message("s", 1))._mapping)
        for version_ms, observed_ms, wins in [
            (row["version_ms"] - 1, row["observed_ms"] + 9, False),
            (row["version_ms"], row["observed_ms"], False),
            (row["version_ms"], row["observed_ms"] - 1, False),
            (row["version_ms"], row["observed_ms"] + 1, True),
            (row["version_ms"] + 1, 0, True),
        ]:
            await site.execute(update(messages).values(row))
            news = {**row, "body": "news", "version_ms": version_ms, "observed_ms": observed_ms}
            async with site.db.write() as connection:
                await upsert(connection, messages, [news], key=KEY, merge=Merge(newer=("body",)))
            assert ((await site.message("s", 1)).body == "news") is wins


async def test_of_two_values_the_earlier_or_the_later_stays(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1))
        row = dict((await site.message("s", 1))._mapping)
        earlier, later = moment(5), moment(9)
        for kind, told, kept in [
            ("earliest", None, None),
            ("earliest", later, later),
            ("earliest", None, later),
            ("earliest", earlier, earlier),
            ("earliest", later, earlier),
            ("latest", later, later),
            ("latest", earlier, later),
            ("latest", None, later),
        ]:
            merge = (
                Merge(earliest=("edited_at",))
                if kind == "earliest"
                else Merge(latest=("edited_at",))
            )
            async with site.db.write() as connection:
                news = [{**row, "edited_at": told}]
                await upsert(connection, messages, news, key=KEY, merge=merge)
            assert (await site.message("s", 1)).edited_at == kept


async def test_updating_rows_touches_only_those_with_the_key(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), *(said("s", n, f"old {n}") for n in range(5)))
        key = dict((await site.message("s", 0))._mapping)
        rows = [{**{name: key[name] for name in KEY[:2]}, "fingerprint": n, "body": f"new {n}",
                 "content": {"n": [None, "ä"]}} for n in (1, 3, 99)]  # fmt: skip
        async with site.db.write() as connection:
            await update_rows(connection, messages, rows, key=KEY)
            await update_rows(connection, messages, [], key=KEY)
            await upsert(connection, messages, [], key=KEY, update=())
        found = {
            row.fingerprint: (row.body, row.content) for row in await site.rows(select(messages))
        }
        changed = {"n": [None, "ä"]}
        assert found == {
            0: ("old 0", None), 1: ("new 1", changed), 2: ("old 2", None), 3: ("new 3", changed),
            4: ("old 4", None),
        }  # fmt: skip


TIMES = [
    datetime(1990, 1, 1, tzinfo=UTC),
    datetime(2026, 3, 2, 9, 0, 0, 123_000, tzinfo=timezone(timedelta(hours=-11))),
    datetime(2099, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
]


async def test_times_flags_and_json_come_back_as_they_went(database_url: str) -> None:
    async with connected(database_url) as site:
        for moment in TIMES:
            mapping = {"a": [1, 2.5, None, True, "ä😀"], "b": {}}
            await site.settings(connected_at=moment, mapping=mapping, import_notes=False)
            row = (await site.rows(select(websites)))[0]
            assert (row.connected_at, row.mapping, row.import_notes) == (moment, mapping, False)
            found = await site.rows(select(websites).where(websites.c.connected_at <= moment))
            assert len(found) == 1
            late = moment + timedelta(milliseconds=1)
            assert not await site.rows(select(websites).where(websites.c.connected_at >= late))
        await site.settings(rolling_read=None, import_since=None)
        assert await site.rows(select(websites.c.id).where(websites.c.rolling_read.is_(None)))


async def test_a_time_without_a_zone_is_refused(database_url: str) -> None:
    async with connected(database_url) as site:
        with pytest.raises(StatementError, match="without a zone"):
            await site.settings(connected_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault


async def test_a_reading_transaction_cannot_write(migrated_postgres_url: str) -> None:
    async with connected(migrated_postgres_url) as site, site.db.read() as connection:
        with pytest.raises(DBAPIError, match="read-only"):
            await connection.execute(update(websites).values(name="x"))


def _error(kind: Any, orig: BaseException) -> DBAPIError:
    found: DBAPIError = kind("INSERT", {}, orig)
    return found


PG = psycopg.errors
ERRORS = [
    (_error(OperationalError, PG.DeadlockDetected()), True, False),
    (_error(OperationalError, PG.SerializationFailure()), True, False),
    (_error(OperationalError, PG.AdminShutdown()), True, False),
    (_error(OperationalError, PG.CannotConnectNow()), True, False),
    (_error(DBAPIError, PG.ReadOnlySqlTransaction()), True, False),
    (_error(OperationalError, psycopg.OperationalError("connection refused")), True, False),
    (_error(OperationalError, sqlite3.OperationalError("database is locked")), True, False),
    (ConnectionResetError(), True, False),
    (_error(OperationalError, PG.DiskFull()), False, False),
    (_error(OperationalError, sqlite3.OperationalError("database or disk is full")), False, False),
    (_error(ProgrammingError, PG.UndefinedTable()), False, False),
    (_error(OperationalError, PG.ProgramLimitExceeded()), False, True),
    (_error(IntegrityError, PG.ForeignKeyViolation()), False, True),
    (_error(ProgrammingError, psycopg.ProgrammingError("cannot adapt type")), False, True),
    (StatementError("no zone", None, None, ValueError()), False, True),
    (OverflowError(), False, True),
    (TypeError(), False, True),
    (RuntimeError(), False, False),
]  # fmt: skip


@pytest.mark.parametrize(("error", "transient", "bad_value"), ERRORS)
def test_case_053_074_which_errors_pass_and_which_are_a_records_fault(
    error: BaseException, transient: bool, bad_value: bool
) -> None:
    """A full disk is neither: its records must not be set aside as if they were bad (case 84)."""
    assert (is_transient(error), is_bad_value(error)) == (transient, bad_value)


async def test_a_full_disk_stops_the_page_and_sets_no_record_aside(sqlite_url: str) -> None:
    async with connected(sqlite_url) as site:
        await site.take(person("first"))
        # The limit is a connection's own, so there is only this one.
        async with site.db.engine.connect() as connection:
            used = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {used}")
        many = [person(f"p{n}", notepad="long " * 500) for n in range(200)]
        with pytest.raises(DiskFull, match="full"):
            await site.take(*many)
        assert (await site.contact("first")).id
        async with site.db.engine.connect() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert (await site.take(*many)).rejected == []


@pytest.mark.parametrize(
    ("given_url", "driver"),
    [
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+asyncpg://u@h/d", "postgresql+psycopg"),
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("sqlite+pysqlite:///x.db", "sqlite+aiosqlite"),
    ],
)
def test_any_driver_suffix_is_accepted(given_url: str, driver: str) -> None:
    assert normal_url(given_url).drivername == driver


@pytest.mark.parametrize("bad", ["", "nonsense", "mysql://u@h/d"])
def test_other_databases_are_refused(bad: str) -> None:
    with pytest.raises(Refused):
        normal_url(bad)


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(Refused, match="needs a file"):
        open_database("sqlite:///:memory:")


async def test_a_database_that_is_away_is_said_to_be(tmp_path: Any) -> None:
    db = open_database(f"postgresql://u@/d?host={tmp_path}")
    with pytest.raises(DatabaseAway):
        async with db.read():
            pass
    with pytest.raises(DatabaseAway):
        await db.transact(lambda connection: connection.execute(select(websites)), tries=2)
    await db.close()


def test_the_schema_is_migrated_once_and_a_newer_one_is_left_alone(fresh_database_url: str) -> None:
    from sqlalchemy import create_engine, text

    assert upgrade(fresh_database_url) is True
    assert upgrade(fresh_database_url) is False
    url = normal_url(fresh_database_url)
    if url.get_backend_name() == "sqlite":
        url = url.set(drivername="sqlite+pysqlite")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseTooNew, match="9999"):
        upgrade(fresh_database_url)


def test_case_082_the_lock_of_a_sqlite_file(sqlite_url: str) -> None:
    with try_runner_lock(sqlite_url) as first, try_runner_lock(sqlite_url) as second:
        assert (first, second) == (True, False)
    with try_runner_lock(sqlite_url) as again:
        assert again
    with (
        try_runner_lock(f"postgresql://{WEBSITE}@h/d") as one,
        try_runner_lock("postgres://h") as two,
    ):
        assert one
        assert two
