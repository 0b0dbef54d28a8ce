"""Finding many rows by their keys, with one parameter for all of them (FAILURES case 76)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Table, Text, bindparam, case, cast, column, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import AnySelect, StoredRow, dump_json

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
    if not keys:
        return {}
    statement = _select(connection.dialect.name, table, key, columns)
    given = [dict(zip(key, one, strict=True)) for one in keys]
    rows = await connection.execute(statement, {"website": website_id, "keys": dump_json(given)})
    return {tuple(row[: len(key)]): row for row in rows}


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
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    typed = [column(name, table.c[name].type.dialect_impl(dialect)) for name in key]
    rows = func.json_to_recordset(cast(_KEYS, postgresql.JSON)).table_valued(*typed)
    asked = rows.render_derived("asked", with_types=True)
    return [_WEBSITE, *(asked.c[name] for name in key)]
