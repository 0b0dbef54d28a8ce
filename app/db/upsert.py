"""Writing many rows at once, the same way on both databases.

Rows go in key order, so that two writers never wait for each other in a circle (FAILURES case 75),
each key once (case 29), and without a limit on bound parameters (case 76).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import StoredRow, dump_json
from app.records import Version

Row = dict[str, Any]


def insert_for(connection: AsyncConnection, table: Table) -> sqlite.Insert:
    """INSERT with ON CONFLICT of the connection's dialect; typed as one of the two, they mean the same."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)  # type: ignore[return-value]  # same methods, no common class


async def lock_key(connection: AsyncConnection, key: str) -> None:
    """Hold `key` until the transaction ends. SQLite has one writer anyway."""
    if connection.dialect.name == "sqlite":
        return
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), signed=True)
    await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def newest_by_key(rows: Iterable[Row], key: Sequence[str]) -> list[Row]:
    """Each key once, the newest version of it, in key order."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        identity = tuple(row[name] for name in key)
        other = best.get(identity)
        if other is None or _newness(row) >= _newness(other):
            best[identity] = row
    return [best[identity] for identity in sorted(best)]


def _newness(row: Mapping[str, Any]) -> tuple[int, int]:
    return row.get("version_ms", 0), row.get("observed_ms", 0)


def met_again(stored: StoredRow, version: Version, *, confirmed: bool) -> Row:
    """The columns to update when a record says nothing new: a full pass met it (SPEC S9), and, when it
    said the same as the row, a cached copy from before then is old (FAILURES case 49).
    """
    seen_ms = version.observed_ms
    return {
        "website_id": stored.website_id,
        "id": stored.id,
        "seen_ms": max(stored.seen_ms, seen_ms),
        "observed_ms": seen_ms if confirmed else stored.observed_ms,
    }


async def upsert(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Row],
    *,
    key: Sequence[str],
    update: Sequence[str],
    keep: Sequence[str] = (),
    guard: bool = False,
) -> None:
    """Insert `rows`, or update the columns `update` of those whose key exists.

    The columns `keep` are set once and then stay. With `guard`, only news that is newer than the stored (version_ms, observed_ms) gets in. All rows
    have the same keys; give each key once (`newest_by_key`).
    """
    if not rows:
        return
    names = tuple(rows[0])
    dialect = connection.dialect.name
    statement = _upsert(dialect, table, names, tuple(key), tuple(update), tuple(keep), guard)
    await _execute_rows(connection, table, statement, names, rows)


@lru_cache(maxsize=256)
def _upsert(  # the key of the cache: building the same statement again costs a millisecond
    dialect: str,
    table: Table,
    names: tuple[str, ...],
    key: tuple[str, ...],
    update: tuple[str, ...],
    keep: tuple[str, ...],
    guard: bool,
) -> Any:
    if dialect == "sqlite":
        insert: Any = sqlite.insert(table).values(_values(table, names))
    else:
        insert = postgresql.insert(table).from_select(list(names), _from_json(table, names))
    if not update:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    where = None
    if guard:
        where = tuple_(insert.excluded.version_ms, insert.excluded.observed_ms) > tuple_(
            table.c.version_ms, table.c.observed_ms
        )
    return insert.on_conflict_do_update(
        index_elements=list(key),
        set_={name: insert.excluded[name] for name in update}
        | {name: func.coalesce(table.c[name], insert.excluded[name]) for name in keep},
        where=where,
    )


async def update_rows(
    connection: AsyncConnection, table: Table, rows: Sequence[Row], *, key: Sequence[str]
) -> None:
    """Set every column of `rows` other than the key, on the rows with that key."""
    if not rows:
        return
    names = tuple(rows[0])
    statement = _update(connection.dialect.name, table, names, tuple(key))
    await _execute_rows(connection, table, statement, names, rows)


@lru_cache(maxsize=256)
def _update(dialect: str, table: Table, names: tuple[str, ...], key: tuple[str, ...]) -> Any:
    source: Any
    if dialect == "sqlite":
        source = _values(table, names)
    else:
        source = _from_json(table, names).subquery("source").c
    return (
        table.update()
        .where(*(table.c[name] == source[name] for name in key))
        .values({name: source[name] for name in names if name not in key})
    )


async def _execute_rows(
    connection: AsyncConnection,
    table: Table,
    statement: Any,
    names: Sequence[str],
    rows: Sequence[Row],
) -> None:
    if connection.dialect.name == "sqlite":
        sql, places = _sqlite_plan(statement, table)
        await connection.exec_driver_sql(
            sql,
            [
                tuple(row[name] if send is None else send(row[name]) for name, send in places)
                for row in rows
            ],
        )
        return
    # One parameter for all rows: psycopg would quote each text of an array by itself.
    picked = [{name: row[name] for name in names} for row in rows]
    await connection.execute(statement, {_ROWS: dump_json(picked)})


_Send = Callable[[Any], Any]


@lru_cache(maxsize=256)
def _sqlite_plan(statement: Any, table: Table) -> tuple[str, list[tuple[str, _Send | None]]]:
    """The text of the statement, and for each of its places the column and how its values are sent.

    SQLAlchemy works that out anew for each row, which takes longer than writing the row.
    """
    dialect = sqlite.dialect()
    compiled = statement.compile(dialect=dialect)
    names = [place.removeprefix(_PLACE) for place in compiled.positiontup]
    return str(compiled), [
        (name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names
    ]


_PLACE = "row_"


def _values(table: Table, names: Sequence[str]) -> dict[str, Any]:
    # A parameter may not be named like a column that the statement sets.
    return {name: bindparam(f"{_PLACE}{name}", type_=table.c[name].type) for name in names}


_ROWS = "all_rows"


def _from_json(table: Table, names: Sequence[str]) -> Select[Any]:
    """SELECT of the rows in the JSON text `all_rows`, each column in its own type."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    columns = [column(name, table.c[name].type.dialect_impl(dialect)) for name in names]
    rows = func.json_to_recordset(cast(bindparam(_ROWS, type_=Text()), postgresql.JSON))
    source = rows.table_valued(*columns).render_derived("source", with_types=True)
    return select(*(source.c[name] for name in names))


def db_now_ms(connection: AsyncConnection) -> ColumnElement[int]:
    """The database's clock, epoch ms: leases must not depend on a worker's clock (FAILURES case 52)."""
    if connection.dialect.name == "sqlite":
        julian = func.julianday(literal("now"))
        return cast((julian - 2440587.5) * 86_400_000, BigInteger)
    return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
