"""Lists: sorted by a column and the id, a page from where the last one ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

from fastapi import Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.api.cursors import bad_cursor, seal, unseal
from app.db.base import AnySelect
from app.db.keyset import KeyPage, Order, fetch_page, read_cursor
from app.published.shapes import Shape

Limit: TypeAlias = Annotated[int, Query(ge=1, le=200, description="Rows of a page.")]
CursorText: TypeAlias = Annotated[
    str | None,
    Query(alias="cursor", description="`next_cursor` of the page before, with the same filters."),
]


class Page(Shape):
    next_cursor: str | None = Field(description="null: this was the last page.", examples=[None])


async def page_of(
    connection: AsyncConnection,
    query: AnySelect,
    orders: Mapping[str, Order],
    sort: str,
    cursor: str | None,
    limit: int,
    scope: Mapping[str, Any],
) -> tuple[KeyPage, str | None]:
    """The rows, and the next cursor. `scope`: all that a cursor may not be carried over. Raises BadCursor."""
    order = orders[sort.removeprefix("-")]
    order = replace(order, descending=sort.startswith("-"))
    given = {name: value for name, value in scope.items() if value is not None}
    place = None
    if cursor is not None:
        of, text = unseal(cursor, 2)
        place = read_cursor(text, order) if of == [sort, given] and isinstance(text, str) else None
        if place is None or place.back:
            raise bad_cursor()
    page = await fetch_page(connection, query, order, place, limit)
    return page, None if page.next is None else seal([sort, given], page.next)
