"""Several statements on one way to the server and back.

    locked, fenced = await run_in_turn(connection, lock_statement, fence_statement)

One statement with several parts would look at the database as it was before its first part had its lock.

    await execute_later(connection, write_statement)

What nobody waits for goes together, at the latest before anything else is asked and with the commit; the
server begins with what is large as soon as it is told. Whoever waits for a server shares the event loop with
all that goes on meanwhile, so each answer costs far more than the way there (docs/why.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Executable, TextClause, event, text
from sqlalchemy.engine import Connection, Dialect, Engine, result_tuple
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from app.db.base import StoredRow
from app.db.sqlstate import driver_error

T = TypeVar("T")


class Query(NamedTuple):
    """A statement, and its parameters by name."""

    statement: Executable
    values: Mapping[str, Any]


class Later(NamedTuple):
    """A statement nobody waits for, built once. `hear` gets its rows when it was executed, and says what is to
    be executed because of them.
    """

    asked: Query
    hear: Callable[[Sequence[StoredRow]], Iterable[Later] | None] | None = None

    def heard(self, rows: Sequence[StoredRow]) -> Iterable[Later]:
        return () if self.hear is None else self.hear(rows) or ()


class _Waiting(NamedTuple):
    sql: str
    values: Mapping[str, Any]
    one: Later
    read: Callable[[Sequence[Any]], StoredRow]

    def heard(self, rows: Sequence[Any]) -> Iterable[Later]:
        return self.one.heard([self.read(row) for row in rows] if self.one.hear else ())

    @property
    def is_large(self) -> bool:
        return any(len(value) >= LARGE for value in self.values.values() if isinstance(value, str))


class _OnItsWay(NamedTuple):
    """What was sent and is not heard of yet, over a pipeline that is open for it."""

    pipeline: Any
    sent: list[tuple[_Waiting, Any]]


_WAITING = "statements to be sent"
_ON_ITS_WAY = "statements that were sent"
LARGE = 8_000
"""Characters of a parameter. The server begins with such a statement, and those before it, while the next
ones are still being made.
"""
MOST_WAITING = 16
"""Of more the parameters would take memory that nobody has planned with."""


async def run_in_turn(connection: AsyncConnection, *asked: Query) -> list[Sequence[StoredRow]]:
    """The rows of each. Raises what `AsyncConnection.execute` raises.

    Statements are to be built once: how each is read is kept with it.
    """
    if not asked:
        return []
    if connection.dialect.name == "sqlite":
        return [(await connection.execute(*one)).all() for one in asked]
    found: list[Sequence[StoredRow]] = []
    now = [_waiting(connection.dialect, Later(one, found.append)) for one in asked]
    await connection.run_sync(_send, now)
    return found


async def execute_later(connection: AsyncConnection, *wanted: Later) -> None:
    """Have them executed, in this order, before anything else is asked of the database, and before the commit.

    Whatever `AsyncConnection.execute` would have raised is raised then. On SQLite, and behind a savepoint,
    where it must be known which statement was refused, they are executed at once.

    Raises RuntimeError without a transaction: nobody would commit them.
    """
    if not connection.in_transaction():
        raise RuntimeError("Statements can wait in a transaction only.")
    at_once = connection.dialect.name == "sqlite" or connection.in_nested_transaction()
    for one in wanted:
        if at_once:
            result = await connection.execute(*one.asked)
            more = one.heard(result.all() if result.returns_rows else ())
            await execute_later(connection, *more)
        else:
            await connection.run_sync(_keep, _waiting(connection.dialect, one))


def send_before_all_else(engine: Engine) -> None:
    """Have what waits sent in time; with the commit `commit_with` does."""
    event.listen(engine, "begin", _forget)
    event.listen(engine, "rollback", _forget)
    event.listen(engine, "before_cursor_execute", _send_before)


def send_what_is_heard(connection: Connection) -> None:
    """What waits, until nothing is left of which somebody wants to know what came of it."""
    while any(waiting.one.hear for waiting in _unheard(connection)):
        _send(connection)


def commit_with(connection: Connection, *last: Query) -> None:
    """What waits, then `last`, and on the same way the commit; SQLAlchemy's own finds nothing left to do."""
    now = [_waiting(connection.dialect, Later(one)) for one in last]
    if now or _unheard(connection):
        _send(connection, now, commit=True)


def _waiting(dialect: Dialect, one: Later) -> _Waiting:
    plan = _plan(one.asked.statement, dialect)
    return _Waiting(plan.sql, plan.sent(one.asked.values), one, plan.read)


def _unheard(connection: Connection) -> list[_Waiting]:
    on_its_way: _OnItsWay | None = connection.info.get(_ON_ITS_WAY)
    sent = [one for one, _ in on_its_way.sent] if on_its_way else []
    return [*sent, *connection.info.get(_WAITING, ())]


def _keep(connection: Connection, one: _Waiting) -> None:
    waiting: list[_Waiting] = connection.info.setdefault(_WAITING, [])
    waiting.append(one)
    # Whoever listens to statements is to hear of this one too, and hears it from whom it comes.
    connection.dispatch.before_cursor_execute(connection, None, one.sql, one.values, None, False)
    if len(_unheard(connection)) >= MOST_WAITING:
        _send(connection)
    elif one.is_large:
        _run(connection, lambda driver: _begin(driver, connection.info))


def _forget(connection: Connection) -> None:
    if connection.invalidated:
        return
    connection.info.pop(_WAITING, None)
    if _ON_ITS_WAY in connection.info:
        from psycopg import Error

        adapted: Any = connection.connection.dbapi_connection
        with suppress(Error):  # whoever rolls back knows of it, or does not want to
            adapted.run_async(lambda driver: _end(driver, connection.info))


def _send_before(connection: Connection, cursor: Any, *_: Any) -> None:
    while cursor is not None and _unheard(connection):
        _send(connection)


def _send(connection: Connection, now: Sequence[_Waiting] = (), *, commit: bool = False) -> None:
    connection.info.setdefault(_WAITING, []).extend(now)

    async def send(driver: Any) -> list[tuple[_Waiting, Any]]:
        await _send_all(driver, connection.info)
        return await _end(driver, connection.info, commit=commit)

    found = _run(connection, send)
    for waiting, rows in found:
        for more in waiting.heard(rows):
            _keep(connection, _waiting(connection.dialect, more))


def _run(connection: Connection, work: Callable[[Any], Awaitable[T]]) -> T:
    from psycopg import Error

    together = _unheard(connection)
    adapted: Any = connection.connection.dbapi_connection
    try:
        result: T = adapted.run_async(work)
    except Error as error:
        raise driver_error("; ".join(one.sql for one in together), error) from error
    return result


async def _begin(driver: Any, info: dict[Any, Any]) -> None:
    """Send what waits, as far as it goes without waiting: the server may be busy with what came before."""
    if _ON_ITS_WAY not in info:
        pipeline = driver.pipeline()
        await pipeline.__aenter__()
        info[_ON_ITS_WAY] = _OnItsWay(pipeline, [])
    sent, waiting = info[_ON_ITS_WAY].sent, info.get(_WAITING, [])
    while waiting and not driver.pgconn.flush():
        one = waiting.pop(0)
        sent.append((one, await driver.execute(one.sql, one.values)))


async def _send_all(driver: Any, info: dict[Any, Any]) -> None:
    await _begin(driver, info)
    while info[_WAITING]:
        await _flush(driver)
        await _begin(driver, info)


async def _end(
    driver: Any, info: dict[Any, Any], *, commit: bool = False
) -> list[tuple[_Waiting, Any]]:
    """The rows of everything that was sent."""
    pipeline, sent = info.pop(_ON_ITS_WAY)
    try:
        await _flush(driver)
        if commit:
            await driver.commit()
    finally:
        await pipeline.__aexit__(None, None, None)
    return [(one, await cursor.fetchall() if cursor.description else ()) for one, cursor in sent]


async def _flush(driver: Any) -> None:
    """The driver's pipeline does not look whether all of it went: with more than fits on the way at once it
    would wait for a server that waits for the rest, for ever.
    """
    from psycopg.generators import send

    await driver.wait(send(driver.pgconn))


_PLAN_ONCE = text("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")


def planning_once(connection: AsyncConnection) -> list[Query]:
    """What has PostgreSQL plan each statement of this transaction once for all that it is asked for.

    Where the same statements come again and again, with other rows, that is a twentieth of its work.
    """
    return [] if connection.dialect.name == "sqlite" else [Query(_PLAN_ONCE, {})]


class _Plan(NamedTuple):
    """The text of a statement, what makes the driver's parameters of its values, and of the driver's rows
    what SQLAlchemy would have made of them.
    """

    sql: str
    sent: Callable[[Mapping[str, Any]], dict[str, Any]]
    read: Callable[[Sequence[Any]], StoredRow]


@lru_cache(maxsize=256)
def _plan(statement: Any, dialect: Any) -> _Plan:
    compiled: SQLCompiler = statement.compile(dialect=dialect)
    kinds = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
    senders = {name: kind.bind_processor(dialect) for name, kind in kinds.items()}

    def sent(values: Mapping[str, Any]) -> dict[str, Any]:
        given = compiled.construct_params(dict(values))
        return {
            name: send(given[name]) if (send := senders[name]) else given[name] for name in senders
        }

    return _Plan(str(compiled), sent, _reader(statement, dialect))


def _reader(statement: Any, dialect: Any) -> Callable[[Sequence[Any]], StoredRow]:
    columns = [] if isinstance(statement, TextClause) else list(statement.exported_columns)
    named = result_tuple([column.key for column in columns])
    kinds = [column.type.dialect_impl(dialect) for column in columns]
    found = [kind.result_processor(dialect, None) for kind in kinds]
    readers = [(place, reader) for place, reader in enumerate(found) if reader is not None]

    def read(row: Sequence[Any]) -> StoredRow:
        values = list(row)
        for place, reader in readers:
            values[place] = reader(values[place])
        return named(values)

    return read
