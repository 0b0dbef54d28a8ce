"""Several statements on one way to the server and back, where each must see what those before it waited for.

    locked, fenced = await run_in_turn(connection, lock_statement, fence_statement)

One statement with several parts would look at the database as it was before its first part had its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Executable, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from app.db.sqlstate import driver_error


class Query(NamedTuple):
    """A statement, and its parameters by name."""

    statement: Executable
    values: Mapping[str, Any]


async def run_in_turn(connection: AsyncConnection, *asked: Query) -> list[Sequence[Any]]:
    """The rows of each, with values as the driver gives them. Raises what `AsyncConnection.execute` raises."""
    if connection.dialect.name == "sqlite":
        return [(await connection.execute(*one)).all() for one in asked]
    from psycopg import Error

    driver: Any = (await connection.get_raw_connection()).driver_connection
    plans = [_plan(one.statement, connection.dialect) for one in asked]
    try:
        async with driver.pipeline():
            cursors = [
                await driver.execute(sql, sent(one.values))
                for one, (sql, sent) in zip(asked, plans, strict=True)
            ]
        return [await cursor.fetchall() for cursor in cursors]
    except Error as error:
        raise driver_error("; ".join(sql for sql, _ in plans), error) from error


_PLAN_ONCE = text("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")


def planning_once(connection: AsyncConnection) -> list[Query]:
    """What has PostgreSQL plan each statement of this transaction once for all that it is asked for.

    Where the same statements come again and again, with other rows, that is a twentieth of its work.
    """
    return [] if connection.dialect.name == "sqlite" else [Query(_PLAN_ONCE, {})]


@lru_cache(maxsize=64)
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
