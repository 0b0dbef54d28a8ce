"""Lists whose records are rows of one table, as files: a column for each field of the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import dump_json
from app.db.lookup import find_by_key
from app.published.columns import Cell
from app.published.export import Listed, Source
from app.published.shapes import Shape


def listed(
    table: Table,
    key: str,
    shape: type[Shape],
    make: Callable[[Any], Shape] | None = None,
    hidden: ColumnElement[bool] | None = None,
) -> Listed:
    """`key`: the column that with the website names a row. `make`: a row as `shape`, where names differ.

    `hidden` is true of rows that are left out.
    """
    filled = make or (
        lambda row: shape(**{name: getattr(row, name) for name in shape.model_fields})
    )
    names = tuple(
        c.name for c in table.c if c.name != key and (make or c.name in shape.model_fields)
    )

    async def load(
        connection: AsyncConnection, website_id: str, ids: Sequence[Any]
    ) -> dict[Any, Shape]:
        keys = [(one,) for one in ids]
        rows = await find_by_key(connection, table, website_id, (key,), keys, names)
        return {one[0]: filled(row) for one, row in rows.items()}

    columns = [
        (name, _kind(field.annotation), _fill(name)) for name, field in shape.model_fields.items()
    ]
    return Listed(Source(table, (key,), load, hidden), columns)


def _kind(annotation: Any) -> type:
    """The type of a column's cells: what is nested is told as JSON."""
    told = str(annotation)
    if "datetime" in told.lower():
        return datetime
    named = {"<class 'int'>": int, "<class 'bool'>": bool, "int | None": int}
    return named.get(told, str)


def _fill(name: str) -> Callable[[Any], Cell]:
    def fill(record: Any) -> Cell:
        value = getattr(record, name)
        return dump_json(value) if isinstance(value, list | dict) else value

    return fill
