"""Writing many rows at once, the same way on both databases.

Rows go in key order, so that two writers never wait for each other in a circle (FAILURES case 75),
each key once (case 29), and without a limit on bound parameters (case 76).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import Told, dump_json, sqlite_value
from app.db.changes import LOCKS, note_changes
from app.db.given import given_rows
from app.db.in_turn import Later, Query, execute_later

Row = dict[str, Any]


def insert_for(connection: AsyncConnection, table: Table) -> sqlite.Insert:
    """INSERT with ON CONFLICT of the connection's dialect; typed as one of the two, they mean the same."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)  # type: ignore[return-value]  # same methods, no common class


_LOCK = text("SELECT pg_advisory_xact_lock(:number)")


async def lock_key(connection: AsyncConnection, key: str) -> None:
    """Hold `key` until the transaction ends; once is enough. SQLite has one writer anyway."""
    for lock in locks_of(connection, key):
        await connection.execute(*lock)


def locks_of(connection: AsyncConnection, key: str) -> list[Query]:
    """What takes the lock, to be run before anything else; nothing where it is held, or on SQLite."""
    if connection.dialect.name == "sqlite":
        return []
    held = connection.info.setdefault(LOCKS, set())
    if key in held:
        return []
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), signed=True)
    # What is taken behind a savepoint is given back with it (postgresql.org, 13.3.5 Advisory Locks).
    if not connection.in_nested_transaction():
        held.add(key)
    return [Query(_LOCK, {"number": number})]


def newest_by_key(rows: Iterable[Row], key: Sequence[str]) -> list[Row]:
    """Each key once, the newest version of it, in key order."""
    best: dict[Any, Row] = {}
    identity_of = itemgetter(*key)
    for row in rows:
        identity = identity_of(row)
        other = best.get(identity)
        if other is None or _newness(row) >= _newness(other):
            best[identity] = row
    return [best[identity] for identity in sorted(best)]


def _newness(row: Mapping[str, Any]) -> tuple[int, int, str]:
    return row.get("version_ms", 0), row.get("observed_ms", 0), row.get("body", "")


class Merge(NamedTuple):
    """What becomes of a stored row when its key comes again.

    `update`: columns that take the new value. `newer`: columns that take it when its
    (version_ms, observed_ms, body) is the greater; with them, a row that has nothing newer stays
    as it is, unless its flag `unless` is still untrue. `earliest`, `latest`: columns that keep the
    smaller or greater of both values, a value before none.
    """

    update: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    earliest: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    unless: str | None = None


async def upsert(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Row],
    *,
    key: Sequence[str],
    update: Sequence[str] = (),
    merge: Merge | None = None,
    quiet: bool = False,
) -> None:
    """Insert `rows`; of those whose key exists change the columns `update`, or what `merge` says.

    All rows have the same keys; give each key once (`newest_by_key`). The change feed is told of all
    of them, unless `quiet`: the caller then notes those that really changed.
    """
    if not rows:
        return
    names = tuple(rows[0])
    change = merge or Merge(update=tuple(update))
    statement = _upsert(connection.dialect.name, table, names, tuple(key), change)
    await _execute_rows(connection, table, statement, names, rows)
    if not quiet:
        _tell(connection, table, rows)


def _tell(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    told: Told | None = table.info.get("told")
    if told is None or told.unseen.issuperset(set(rows[0]) - {"website_id", *told.key}):
        return
    by_website: dict[str, list[Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in told.key)
        by_website.setdefault(row["website_id"], []).append(key if len(key) > 1 else key[0])
    for website_id, keys in by_website.items():
        note_changes(connection, told.kind, website_id, keys)


@lru_cache(maxsize=256)
def _upsert(
    dialect: str, table: Table, names: tuple[str, ...], key: tuple[str, ...], change: Merge
) -> Any:
    """Cached: building the same statement again costs a millisecond."""
    if dialect == "sqlite":
        insert: Any = sqlite.insert(table).values(_values(table, names))
    else:
        insert = postgresql.insert(table).from_select(list(names), _from_json(table, names))
    new, old = insert.excluded, table.c
    settings = {name: new[name] for name in change.update}
    where = None
    if change.newer:
        rank = ("version_ms", "observed_ms", "body")
        is_newer = tuple_(*(new[n] for n in rank)) > tuple_(*(old[n] for n in rank))
        where = or_(
            is_newer,
            *([not_(old[change.unless])] if change.unless else ()),
            *(_is_earlier(new[name], old[name]) for name in change.earliest),
        )
        settings |= {name: case((is_newer, new[name]), else_=old[name]) for name in change.newer}
    for columns, wins in ((change.earliest, _is_earlier), (change.latest, _is_later)):
        settings |= {
            name: case((wins(new[name], old[name]), new[name]), else_=old[name]) for name in columns
        }
    if not settings:
        return insert.on_conflict_do_nothing(index_elements=list(key))
    return insert.on_conflict_do_update(index_elements=list(key), set_=settings, where=where)


def _is_earlier(new: Any, old: Any) -> ColumnElement[bool]:
    return and_(new.is_not(None), or_(old.is_(None), new < old))


def _is_later(new: Any, old: Any) -> ColumnElement[bool]:
    return and_(new.is_not(None), or_(old.is_(None), new > old))


Also = Callable[[Mapping[str, ColumnElement[Any]]], Mapping[str, ColumnElement[Any]]]
"""From the new values of a row to further columns that are set with them."""


async def update_rows(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Row],
    *,
    key: Sequence[str],
    also: Also | None = None,
) -> None:
    """Set every column of `rows` other than the key, and what `also` says, on the rows with that key.

    The change feed is told of all of them, unless only columns are set that nobody sees.
    """
    if not rows:
        return
    names = tuple(rows[0])
    statement = _update(connection.dialect.name, table, names, tuple(key), also)
    await _execute_rows(connection, table, statement, names, rows)
    _tell(connection, table, rows)


@lru_cache(maxsize=256)
def _update(
    dialect: str, table: Table, names: tuple[str, ...], key: tuple[str, ...], also: Also | None
) -> Any:
    source: Any
    if dialect == "sqlite":
        source = _values(table, names)
    else:
        source = _from_json(table, names).subquery("source").c
    return (
        table.update()
        .where(*(table.c[name] == source[name] for name in key))
        .values({name: source[name] for name in names if name not in key})
        .values(also(source) if also else {})
    )


async def _execute_rows(
    connection: AsyncConnection,
    table: Table,
    statement: Any,
    names: Sequence[str],
    rows: Sequence[Row],
) -> None:
    if connection.dialect.name == "sqlite":
        sql, values_of, sends = _sqlite_plan(statement, table)
        await connection.exec_driver_sql(sql, [_sent(values_of(row), sends) for row in rows])
        return
    # One parameter for all rows: psycopg would quote each text of an array by itself. What is not told is NULL.
    picked = [{name: value for name in names if (value := row[name]) is not None} for row in rows]
    await execute_later(connection, Later(Query(statement, {_ROWS: dump_json(picked)})))


_Send = Callable[[Any], Any]


def _sent(values: Sequence[Any], sends: Sequence[tuple[int, _Send]]) -> tuple[Any, ...]:
    found = list(values)
    for place, send in sends:
        if found[place] is not None:
            found[place] = send(found[place])
    return tuple(found)


@lru_cache(maxsize=256)
def _sqlite_plan(
    statement: Any, table: Table
) -> tuple[str, Callable[[Row], Sequence[Any]], list[tuple[int, _Send]]]:
    """The text of the statement, what gives a row's values in the order of its places, and how those
    of some places are sent.

    SQLAlchemy works that out anew for each row, which takes longer than writing the row.
    """
    compiled = statement.compile(dialect=sqlite.dialect())
    names = [place.removeprefix(_PLACE) for place in compiled.positiontup]
    sends = [
        (place, send)
        for place, name in enumerate(names)
        if (send := sqlite_value(table.c[name].type)) is not None
    ]
    return str(compiled), itemgetter(*names), sends


_PLACE = "row_"


def _values(table: Table, names: Sequence[str]) -> dict[str, Any]:
    # A parameter may not be named like a column that the statement sets.
    return {name: bindparam(f"{_PLACE}{name}", type_=table.c[name].type) for name in names}


_ROWS = "all_rows"


def _from_json(table: Table, names: Sequence[str]) -> Select[Any]:
    source = given_rows("postgresql", table, names, _ROWS)
    return select(*(source.c[name] for name in names))


def db_now_ms(connection: AsyncConnection) -> ColumnElement[int]:
    """The database's clock, epoch ms: leases must not depend on a worker's clock (FAILURES case 52)."""
    return now_ms_of(connection.dialect.name)


def now_ms_of(dialect: str) -> ColumnElement[int]:
    if dialect == "sqlite":
        julian = func.julianday(literal("now"))
        return cast((julian - 2440587.5) * 86_400_000, BigInteger)
    return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
