from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen, member
from app.api.finding import website_with
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.db.keyset import Order
from app.imports.steps import ask_undo
from app.imports.tables import imports
from app.published.shapes import Id, Moment, Shape, WebsiteId

router = APIRouter(prefix="/imports", tags=["imports"])
_i = imports.c
ORDERS: Mapping[str, Order] = {"created_at": Order(_i.created_at, _i.id, datetime, nullable=False)}


class Import(Shape):
    """A CSV file of contacts."""

    id: Id
    website_id: WebsiteId
    state: str = Field(examples=["done"])
    mode: str = Field(examples=["merge"])
    file_name: str = Field(examples=["contacts.csv"])
    created_by: str
    error: str | None
    counts: dict[str, Any]
    created_at: Moment
    finished_at: Moment | None


class ImportPage(Page):
    data: list[Import]


_SHOWN = [_i[name] for name in Import.model_fields]


@router.get("", operation_id="listImports", response_model=ImportPage, responses=errors(400, 404))
async def list_imports(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Newest first."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = select(*_SHOWN).where(_i.website_id == website_id)
        page, following = await page_of(
            connection, query, ORDERS, "-created_at", cursor, limit, {"w": website_id}
        )
    data = [Import(**row._asdict()) for row in page.rows]
    return answer(request, ImportPage(data=data, next_cursor=following))


async def _load(connection: AsyncConnection, actor: Actor, import_id: str) -> Import:
    website_id = await website_with(connection, actor, imports, import_id, "import")
    query = select(*_SHOWN).where(_i.website_id == website_id, _i.id == import_id)
    return Import(**(await connection.execute(query)).one()._asdict())


@router.get("/{import_id}", operation_id="getImport", response_model=Import, responses=errors(404))
async def get_import(request: Request, db: Db, actor: Caller, import_id: str) -> Response:
    async with db.read() as connection:
        return answer(request, await _load(connection, actor, import_id))


@router.post(
    "/{import_id}/undo", operation_id="undoImport", status_code=202, response_model=Import,
    responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def undo_import(request: Request, db: Db, actor: Caller, import_id: str) -> Response:
    """Take back what this import changed; what others changed since stays."""
    async with db.read() as connection:
        found = await _load(connection, actor, import_id)
    await ask_undo(db, found.website_id, found.id, actor)
    async with db.read() as connection:
        return answer(request, await _load(connection, actor, import_id), 202)
