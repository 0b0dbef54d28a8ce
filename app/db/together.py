"""Several small questions in one statement, where a page would otherwise wait for each in turn.

    runs, totals = await ask_together(connection, runs_query, totals_query)

Each answer is the rows of its SELECT, in its order, with the values that its columns have by
themselves. The database writes them as JSON: for short lists, and never for bytes.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, LargeBinary, Subquery, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from app.db.base import AnySelect, Flag, Json, UtcDateTime


async def ask_together(connection: AsyncConnection, *queries: AnySelect) -> list[list[Any]]:
    """The rows of each, in the order in which they are asked; columns need different names."""
    sqlite = connection.dialect.name == "sqlite"
    asked = [query.subquery() for query in queries]
    found = (await connection.execute(select(*(_as_json(each, sqlite) for each in asked)))).one()
    return [_rows(each, text) for each, text in zip(asked, found, strict=True)]


def _as_json(asked: Subquery, sqlite: bool) -> ColumnElement[Any]:
    if sqlite:
        row = func.json_array(*(_nested(column) for column in asked.c))
        return select(func.json_group_array(row, type_=Text())).scalar_subquery()
    row = func.json_build_array(*asked.c)
    return select(cast(func.json_agg(row), Text)).scalar_subquery()


def _nested(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQLite keeps JSON as text, and would write it as a string."""
    return func.json(column) if isinstance(column.type, Json) else column


def _rows(asked: Subquery, text: str | None) -> list[Any]:
    readers = [_reader(column.type) for column in asked.c]
    row = _row_type(tuple(column.name for column in asked.c))
    return [
        row(*(read(value) for read, value in zip(readers, values, strict=True)))
        for values in orjson.loads(text or "[]")
    ]


@lru_cache(maxsize=256)
def _row_type(names: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple("Row", names)  # its fields are known only now


def _reader(kind: TypeEngine[Any]) -> Callable[[Any], Any]:
    if isinstance(kind, LargeBinary):
        raise TypeError("bytes cannot be asked for together with others")
    if isinstance(kind, UtcDateTime):
        return _moment
    return _truth if isinstance(kind, Flag) else _as_it_is


def _moment(value: str | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _truth(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _as_it_is(value: Any) -> Any:
    return value
