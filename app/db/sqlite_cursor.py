"""SQLite's statements go to the driver's thread once each, not four times.

SQLAlchemy asks aiosqlite for a cursor, for the statement, for its rows and for the cursor's end, each by
itself, and each time the event loop and the thread wait for each other. On a small statement that takes
longer than the statement (docs/why.md). What is streamed goes row by row as before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import event
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
)
from sqlalchemy.engine import Dialect, Engine


def go_once(engine: Engine) -> None:
    """Have this engine's connections run each statement, rows and all, in one go."""
    event.listen(engine, "do_connect", _connect)


def _connect(dialect: Dialect, _record: object, given: Sequence[Any], named: dict[str, Any]) -> Any:
    driver: Any = dialect.dbapi
    return _Connection(driver, driver.connect(*given, **named).driver_connection)


class _Executed(NamedTuple):
    description: Any
    rowcount: int
    lastrowid: int | None
    rows: Sequence[Any]


_NOTHING = _Executed(None, -1, None, ())
_Execute = Callable[[sqlite3.Cursor, str, Any], Any]


def _execute(connection: sqlite3.Connection, execute: _Execute, sql: str, values: Any) -> _Executed:
    cursor = connection.cursor()
    try:
        execute(cursor, sql, values)
        rows = cursor.fetchall() if cursor.description else ()
        return _Executed(cursor.description, cursor.rowcount, cursor.lastrowid, rows)
    finally:
        cursor.close()


class _DriverCursor:
    """What SQLAlchemy asks of aiosqlite's cursor. The rows are here once `execute` has returned."""

    arraysize = 1

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._executed = _NOTHING

    async def __aenter__(self) -> _DriverCursor:
        return self

    async def execute(self, sql: str, values: Any = ()) -> None:
        await self._go(sqlite3.Cursor.execute, sql, values)

    async def executemany(self, sql: str, values: Any) -> None:
        await self._go(sqlite3.Cursor.executemany, sql, values)

    async def _go(self, execute: _Execute, sql: str, values: Any) -> None:
        # aiosqlite has no public way to run a function of ours in its thread.
        self._executed = _NOTHING
        self._executed = await self._connection._execute(  # noqa: SLF001
            _execute,
            self._connection._conn,  # noqa: SLF001
            execute,
            sql,
            values,
        )

    @property
    def description(self) -> Any:
        return self._executed.description

    @property
    def rowcount(self) -> int:
        return self._executed.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._executed.lastrowid

    async def fetchall(self) -> Sequence[Any]:
        return self._executed.rows

    async def close(self) -> None:
        """Nothing is open any more."""


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()

    def _make_new_cursor(self, connection: Any) -> Any:
        return _DriverCursor(connection)


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    _cursor_cls = _Cursor
