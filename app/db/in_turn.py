"""Several statements on one way to the server and back.

    locked, fenced = await run_in_turn(connection, lock_statement, fence_statement)

One statement with several parts would look at the database as it was before its first part had its lock.

    await execute_later(connection, write_statement)

What nobody waits for goes together, at the latest before anything else is asked and before the commit.
Whoever waits for a server shares the event loop with all that goes on meanwhile, so each answer costs
far more than the way there (docs/why.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Executable, event, text
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from app.db.sqlstate import driver_error


class Query(NamedTuple):
    """A statement, and its parameters by name."""

    statement: Executable
    values: Mapping[str, Any]


class Later(NamedTuple):
    """A statement nobody waits for. `hear` gets its rows once it was executed, with values as the driver
    gives them, and says what is to be executed because of them.
    """

    asked: Query
    hear: Callable[[Sequence[Any]], Iterable[Later] | None] | None = None

    def heard(self, rows: Sequence[Any]) -> Iterable[Later]:
        return () if self.hear is None else self.hear(rows) or ()


class _Waiting(NamedTuple):
    sql: str
    values: Mapping[str, Any]
    one: Later


_WAITING = "statements to be sent"
MOST_WAITING = 16
"""Of more the parameters would take memory that nobody has planned with."""


async def run_in_turn(connection: AsyncConnection, *asked: Query) -> list[Sequence[Any]]:
    """The rows of each, with values as the driver gives them. Raises what `AsyncConnection.execute` raises."""
    if connection.dialect.name == "sqlite":
        return [(await connection.execute(*one)).all() for one in asked]
    found: list[Sequence[Any]] = []
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
    while any(waiting.one.hear for waiting in connection.info.get(_WAITING, ())):
        _send(connection)


def commit_with(connection: Connection, *last: Query) -> None:
    """What waits, then `last`, and on the same way the commit; SQLAlchemy's own finds nothing left to do."""
    now = [_waiting(connection.dialect, Later(one)) for one in last]
    if now or connection.info.get(_WAITING):
        _send(connection, now, commit=True)


def _waiting(dialect: Dialect, one: Later) -> _Waiting:
    sql, sent = _plan(one.asked.statement, dialect)
    return _Waiting(sql, sent(one.asked.values), one)


def _keep(connection: Connection, one: _Waiting) -> None:
    waiting: list[_Waiting] = connection.info.setdefault(_WAITING, [])
    waiting.append(one)
    # Whoever listens to statements is to hear of this one too, and hears it from whom it comes.
    connection.dispatch.before_cursor_execute(connection, None, one.sql, one.values, None, False)
    if len(waiting) >= MOST_WAITING:
        _send(connection)


def _forget(connection: Connection) -> None:
    if not connection.invalidated:
        connection.info.pop(_WAITING, None)


def _send_before(connection: Connection, cursor: Any, *_: Any) -> None:
    while cursor is not None and connection.info.get(_WAITING):
        _send(connection)


def _send(connection: Connection, now: Sequence[_Waiting] = (), *, commit: bool = False) -> None:
    from psycopg import Error

    together = [*connection.info.pop(_WAITING, ()), *now]
    adapted: Any = connection.connection.dbapi_connection
    try:
        found = adapted.run_async(lambda driver: _executed(driver, together, commit=commit))
    except Error as error:
        raise driver_error("; ".join(one.sql for one in together), error) from error
    for waiting, rows in zip(together, found, strict=True):
        for more in waiting.one.heard(rows):
            _keep(connection, _waiting(connection.dialect, more))


async def _executed(
    driver: Any, together: Iterable[_Waiting], *, commit: bool
) -> list[Sequence[Any]]:
    from psycopg.generators import send

    async with driver.pipeline():
        cursors = []
        for one in together:
            cursors.append(await driver.execute(one.sql, one.values))
            # The pipeline does not look whether all of it went: with more than fits on the way it would
            # wait for a server that waits for the rest, for ever.
            await driver.wait(send(driver.pgconn))
        if commit:
            await driver.commit()
    return [await cursor.fetchall() if cursor.description else () for cursor in cursors]


_PLAN_ONCE = text("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")


def planning_once(connection: AsyncConnection) -> list[Query]:
    """What has PostgreSQL plan each statement of this transaction once for all that it is asked for.

    Where the same statements come again and again, with other rows, that is a twentieth of its work.
    """
    return [] if connection.dialect.name == "sqlite" else [Query(_PLAN_ONCE, {})]


@lru_cache(maxsize=256)
def _plan(
    statement: Any, dialect: Any
) -> tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
    """The text of the statement, and what makes the driver's parameters of its values."""
    compiled: SQLCompiler = statement.compile(dialect=dialect)
    kinds = {name: bind.type.dialect_impl(dialect) for bind, name in compiled.bind_names.items()}
    senders = {name: kind.bind_processor(dialect) for name, kind in kinds.items()}

    def sent(values: Mapping[str, Any]) -> dict[str, Any]:
        given = compiled.construct_params(dict(values))
        return {
            name: send(given[name]) if (send := senders[name]) else given[name] for name in senders
        }

    return str(compiled), sent
