"""Imports and their rows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.db.keyset import Cursor, KeyPage, Order, fetch_page
from app.db.lookup import find_rows
from app.imports.tables import import_rows, imports
from app.pages.rows import AnyRow

ORDER = Order(imports.c.created_at, imports.c.id, datetime, nullable=False)
ROWS_ORDER = Order(import_rows.c.line, import_rows.c.line, int, descending=False, nullable=False)
SHOWN, ROWS_SHOWN = 25, 50

PROBLEMS = or_(import_rows.c.outcome == "error", import_rows.c.state.in_(("refused", "kept")))
SHOWS = {
    "problems": and_(PROBLEMS, import_rows.c.state != "repaired"),
    "create": import_rows.c.outcome == "create",
    "update": import_rows.c.outcome == "update",
    "unchanged": import_rows.c.outcome == "unchanged",
    "skip": import_rows.c.outcome == "skip",
}


async def list_imports(
    connection: AsyncConnection, website_id: str, cursor: Cursor | None
) -> KeyPage:
    query = select(imports).where(imports.c.website_id == website_id)
    return await fetch_page(connection, query, ORDER, cursor, SHOWN)


async def get_import(connection: AsyncConnection, website_id: str, import_id: str) -> AnyRow | None:
    query = select(imports).where(imports.c.website_id == website_id, imports.c.id == import_id)
    return (await connection.execute(query)).first()


async def rows_of(
    connection: AsyncConnection, website_id: str, import_id: str, show: str, cursor: Cursor | None
) -> KeyPage:
    query = select(import_rows).where(
        import_rows.c.website_id == website_id,
        import_rows.c.import_id == import_id,
        SHOWS[show],
    )
    return await fetch_page(connection, query, ROWS_ORDER, cursor, ROWS_SHOWN)


async def company_names(
    connection: AsyncConnection, website_id: str, ids: Collection[str]
) -> dict[str, str]:
    asked = [(one,) for one in sorted(ids)]
    rows = await find_rows(connection, companies, website_id, ("id",), asked, ("name",))
    return {row.id: row.name for row in rows}
