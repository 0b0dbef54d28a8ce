"""Paging by key: a page starts after a row, not after a number of rows.

New rows neither shift the pages nor repeat anything. Rows without a value come last in both
directions, as the second part of a UNION ALL that is read only as far as the page needs: ordering by
`NULLS LAST` would leave the index unused on PostgreSQL, and without it the two databases disagree
where empty values belong.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Integer, Text, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.db.base import AnySelect, StoredRow

Value = datetime | str | int | None

_INT64 = 1 << 63
_LONGEST = 4_000


class ByteOrder(FunctionElement[str]):
    """Text ordered by its bytes, as SQLite does, whatever the language of the PostgreSQL database."""

    name = "byte_order"
    type = Text()
    inherit_cache = True


@compiles(ByteOrder)
def _plain(element: ByteOrder, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(ByteOrder, "postgresql")
def _collated(element: ByteOrder, compiler: SQLCompiler, **options: Any) -> str:
    return f'({compiler.process(element.clauses, **options)}) COLLATE "C"'


@dataclass(frozen=True, slots=True)
class Order:
    """By `column`, ties by `id`; `kind` is what a cursor of it must hold."""

    column: ColumnElement[Any]
    id: ColumnElement[Any]
    kind: type
    descending: bool = True
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row at the edge of a page, and which way to go from it."""

    back: bool
    value: Value
    id: str | int

    def written(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        raw = orjson.dumps([int(self.back), value, self.id])
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class KeyPage:
    rows: Sequence[StoredRow]
    next: str | None = None
    previous: str | None = None


def read_cursor(text: str, order: Order) -> Cursor | None:
    """None when it is not one of ours, or belongs to another order."""
    if not 0 < len(text) <= _LONGEST:
        return None
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
        back, value, row_id = orjson.loads(raw)
        if order.kind is datetime and isinstance(value, str):
            value = datetime.fromisoformat(value)
    except (binascii.Error, ValueError, TypeError):
        return None
    good = (
        back in (0, 1)
        and ((value is None and order.nullable) or _is(value, order.kind))
        and _is(row_id, int if isinstance(order.id.type, Integer) else str)
    )
    return Cursor(bool(back), value, row_id) if good else None


def _is(value: object, kind: type) -> bool:
    """Of that type, and such that both databases can take it."""
    if type(value) is not kind:
        return False
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if isinstance(value, int):
        return abs(value) < _INT64
    return "\x00" not in str(value)


async def fetch_page(
    connection: AsyncConnection, query: AnySelect, order: Order, cursor: Cursor | None, size: int
) -> KeyPage:
    """One page of `query`, whose rows get the extra columns `sort_value` and `row_id`."""
    back = cursor is not None and cursor.back
    wide = query.add_columns(order.column.label("sort_value"), order.id.label("row_id"))
    parts = []
    for nulls in _zones(order, cursor):
        start = cursor if cursor and nulls == (cursor.value is None) else None
        parts.append(_part(wide, order, back, nulls, start).limit(size + 1))
    if len(parts) == 1:
        return _page(list((await connection.execute(parts[0])).all()), cursor, size)
    # Neither database reads parts with a limit side by side, so the first comes first.
    both = union_all(*(select(part.subquery()) for part in parts)).limit(size + 1)
    return _page(list((await connection.execute(both)).all()), cursor, size)


def _zones(order: Order, cursor: Cursor | None) -> list[bool]:
    """In which order rows with (False) and without (True) a value are to be read."""
    zones = [False, True] if order.nullable else [False]
    if cursor and cursor.back:
        zones.reverse()
    if cursor and (cursor.value is None) in zones:
        zones = zones[zones.index(cursor.value is None) :]
    return zones


def _part(
    query: AnySelect, order: Order, back: bool, nulls: bool, start: Cursor | None
) -> AnySelect:
    falling = order.descending is not back
    keys = [order.id] if nulls else [order.column, order.id]
    if order.nullable:
        query = query.where(order.column.is_(None) if nulls else order.column.is_not(None))
    if start is not None:
        values = [start.id] if nulls else [start.value, start.id]
        here = tuple_(*keys)
        edge = tuple_(*(literal(v, k.type) for v, k in zip(values, keys, strict=True)))
        query = query.where(here < edge if falling else here > edge)
    return query.order_by(*(key.desc() if falling else key.asc() for key in keys))


def _page(found: list[StoredRow], cursor: Cursor | None, size: int) -> KeyPage:
    rows, more = found[:size], len(found) > size
    back = cursor is not None and cursor.back
    if back:
        rows.reverse()
    if not rows:
        return KeyPage(())
    before = more if back else cursor is not None
    after = True if back else more
    return KeyPage(
        rows,
        _edge(rows[-1], back=False) if after else None,
        _edge(rows[0], back=True) if before else None,
    )


def _edge(row: StoredRow, back: bool) -> str:
    return Cursor(back, row.sort_value, row.row_id).written()
