"""Opening the database: who opens a transaction commits it, and no request to Crisp happens inside one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
import stamina
from sqlalchemy import event, make_url
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.db.base import dump_json
from app.db.changes import watch_commits
from app.db.page_cache import USUAL
from app.db.sqlite_cursor import go_once
from app.db.sqlstate import is_full, is_transient
from app.db.words import keep_words
from app.errors import DatabaseAway, DiskFull, Refused

T = TypeVar("T")

POSTGRES_OPTIONS = (
    "-c idle_in_transaction_session_timeout=30000 -c lock_timeout=15000 -c timezone=UTC"
    # Disks that seek have become rare, and what is asked for all day is in memory. Several people look at
    # once: a question that takes all processors for itself makes the others wait, and itself little quicker.
    " -c random_page_cost=1.0 -c max_parallel_workers_per_gather=0"
)


@dataclass(slots=True)
class Database:
    """One pool. `read()` and `write()` open a transaction; `transact()` retries one that can pass by itself."""

    engine: AsyncEngine
    # SQLite has one writer: waiting here is fair and free, waiting in its busy handler is neither.
    _writer: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Held while somebody takes two connections: a crowd that did so would hold one each, and wait for the other.
    taking_two: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def writer(self) -> asyncio.Lock:
        """Held by whoever writes to a SQLite file over a connection of its own."""
        return self._writer

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Raises DatabaseAway when the database does not answer."""
        try:
            async with self.engine.connect() as connection:
                # The driver says so in its BEGIN, which costs no way to the server and back.
                await connection.execution_options(read_only=True, postgresql_readonly=True)
                async with connection.begin():
                    yield connection
        except DBAPIError as error:
            if is_transient(error):
                raise DatabaseAway("The database does not answer.") from error
            raise

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        if not self.is_sqlite:
            async with self.engine.begin() as connection:
                yield connection
            return
        async with self._writer, self.engine.begin() as connection:
            yield connection
            await keep_words(connection)

    async def transact(self, work: Callable[[AsyncConnection], Awaitable[T]], tries: int = 6) -> T:
        """Run `work` in a write transaction, again when the database says that trying again may help.

        Raises DatabaseAway when it still does not answer after about ten seconds, and DiskFull at once.
        """
        try:
            async for attempt in stamina.retry_context(
                on=is_transient, attempts=tries, timeout=30, wait_initial=0.05, wait_max=3
            ):
                with attempt:
                    return await _whole(self._once(work))
        except DBAPIError as error:
            if is_transient(error):
                raise DatabaseAway("The database does not answer; nothing was changed.") from error
            if is_full(error):
                raise DiskFull("The database's disk is full; nothing was changed.") from error
            raise
        raise AssertionError("unreachable: the loop returns or raises")

    async def _once(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self.write() as connection:
            return await work(connection)

    async def close(self) -> None:
        await self.engine.dispose()


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """A caller that is cancelled waits until `work` has ended (FAILURES case 78).

    Cut off in the middle, a driver may leave a transaction open on a connection that nobody has
    any more, and with it, on SQLite, the only write lock.
    """
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        if not working.cancelled():
            working.exception()  # seen: the caller is told of the cancellation instead
        raise


def normal_url(raw: str) -> URL:
    """The URL with the drivers used here, whatever driver suffix it came with. Raises Refused."""
    try:
        url = make_url(raw)
    except Exception:
        raise Refused("DATABASE_URL is not a database address.") from None
    family = url.get_backend_name()
    if family in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if family == "sqlite":
        return url.set(drivername="sqlite+aiosqlite")
    raise Refused(f"DATABASE_URL names {family}; crispsync keeps its data in SQLite or PostgreSQL.")


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite address; None for PostgreSQL. Raises Refused for a database in memory."""
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise Refused("A SQLite database needs a file: sqlite+aiosqlite:///data/crispsync.db")
    return Path(url.database)


def make_folder(file: Path) -> None:
    """The folder of a SQLite file. Raises Refused when it cannot be made or written to."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        reason = None if os.access(file.parent, os.W_OK) else "it cannot be written to"
    except OSError as error:
        reason = error.strerror
    if reason:
        raise Refused(f"DATABASE_URL needs the folder {file.parent}: {reason}.")


def open_database(raw_url: str, pool_size: int = 5) -> Database:
    url = normal_url(raw_url)
    file = sqlite_file(url)
    if file is not None:
        make_folder(file)
    engine = _open_postgres(url, pool_size) if file is None else _open_sqlite(url, pool_size)
    watch_commits(engine.sync_engine)
    return Database(engine)


def _open_postgres(url: URL, pool_size: int) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        pool_pre_ping=True,
        # The one that was in use last has its statements planned and its tables known.
        pool_use_lifo=True,
        hide_parameters=True,
        json_serializer=dump_json,
        json_deserializer=orjson.loads,
        connect_args={
            "options": POSTGRES_OPTIONS,
            "connect_timeout": 5,
            "async_creator_fn": _connect_whole,
        },
    )


async def _connect_whole(*args: Any, **values: Any) -> Any:
    """Whoever is cancelled while connecting leaves no session behind on the server (FAILURES case 78)."""
    from psycopg import AsyncConnection as PsycopgConnection

    connecting = asyncio.ensure_future(PsycopgConnection.connect(*args, **values))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        await asyncio.wait({connecting})
        if not connecting.cancelled() and connecting.exception() is None:
            await connecting.result().close()
        raise


def _open_sqlite(url: URL, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        pool_timeout=30,
        hide_parameters=True,
        connect_args={"timeout": 30},
    )
    go_once(engine.sync_engine)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN is deferred: reading and then writing in it fails at once when
    # somebody else wrote meanwhile, whatever the busy timeout (FAILURES case 81).
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        USUAL,
        "temp_store=MEMORY",
        # Each checkpoint waits for the disk: one every 64 MB, not every 4.
        "wal_autocheckpoint=16000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
