"""Finding many rows by their keys, with one parameter for all of them (FAILURES case 76)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Table,
    Text,
    bindparam,
    case,
    func,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import AnySelect, StoredRow, dump_json
from app.db.given import given_rows
from app.db.in_turn import Query, run_in_turn

Names = tuple[str, ...]


async def find_by_key(
    connection: AsyncConnection,
    table: Table,
    website_id: str,
    key: Names,
    keys: Sequence[Sequence[Any]],
    columns: Names,
) -> dict[tuple[Any, ...], StoredRow]:
    """`columns` of a website's rows whose columns `key` are one of `keys`, by key; others are missing."""
    rows = await find_rows(connection, table, website_id, key, keys, columns)
    return {tuple(row[: len(key)]): row for row in rows}


async def find_rows(
    connection: AsyncConnection,
    table: Table,
    website_id: str,
    names: Names,
    values: Sequence[Sequence[Any]],
    columns: Names,
) -> Sequence[StoredRow]:
    """`names` and `columns` of all rows of a website whose columns `names` are one of `values`.

    Ask one table at a time: until PostgreSQL has counted new rows it takes tables for empty, joins
    them the wrong way round, and each batch takes longer than the one before.
    """
    if not values:
        return []
    asked = asking_rows(connection, table, website_id, names, values, columns)
    return (await connection.execute(*asked)).all()


async def find_in_turn(
    connection: AsyncConnection,
    website_id: str,
    *wanted: tuple[Table, Names, Sequence[Sequence[Any]], Names],
) -> list[Sequence[StoredRow]]:
    """What `find_rows` finds for each, on one way to the server; nothing is asked where there are no values."""
    asked = {
        place: asking_rows(connection, table, website_id, names, values, columns)
        for place, (table, names, values, columns) in enumerate(wanted)
        if values
    }
    found = dict(zip(asked, await run_in_turn(connection, *asked.values()), strict=True))
    return [found.get(place, ()) for place in range(len(wanted))]


def asking_rows(
    connection: AsyncConnection,
    table: Table,
    website_id: str,
    names: Names,
    values: Sequence[Sequence[Any]],
    columns: Names,
) -> Query:
    """As `find_rows`."""
    statement = _select(connection.dialect.name, table, names, columns)
    given = [dict(zip(names, one, strict=True)) for one in values]
    return Query(statement, {"website": website_id, "keys": dump_json(given)})


@lru_cache(maxsize=64)
def _select(dialect: str, table: Table, key: Names, columns: Names) -> AnySelect:
    on_sqlite = dialect == "sqlite"
    website, *asked = _asked_on_sqlite(key) if on_sqlite else _asked_on_postgres(table, key)
    return select(*(table.c[name] for name in (*key, *columns))).where(
        table.c.website_id == website,
        *(table.c[name] == value for name, value in zip(key, asked, strict=True)),
    )


_WEBSITE: BindParameter[str] = bindparam("website")
_KEYS: BindParameter[str] = bindparam("keys", type_=Text())


def _asked_on_sqlite(key: Names) -> list[Any]:
    each = func.json_each(_KEYS).table_valued("value", name="asked")
    # Depends on the asked row by its looks only: SQLite would go through all rows of the website
    # and look for each among the keys.
    website = case((each.c.value.is_not(None), _WEBSITE))
    return [website, *(func.json_extract(each.c.value, f"$.{name}") for name in key)]


def _asked_on_postgres(table: Table, key: Names) -> list[Any]:
    asked = given_rows("postgresql", table, key, "keys")
    return [_WEBSITE, *(asked.c[name] for name in key)]


def any_of(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether there is such a row, or NULL, for each row of the statement this is a column of.

    PostgreSQL may make a join of EXISTS, and reads the whole table while it believes that to be small.
    """
    there: ColumnElement[bool] = (
        select(true()).select_from(table).where(*conditions).limit(1).scalar_subquery()
    )
    return there
