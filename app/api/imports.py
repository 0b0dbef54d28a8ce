"""CSV files of contacts or companies: what was uploaded, how it is read, what became of it (SPEC I)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen
from app.api.finding import website_with
from app.api.given import Given
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.db.keyset import Order
from app.imports.columns import TYPES
from app.imports.mappings import saved_mappings
from app.imports.tables import import_rows, imports, made_company, made_contact
from app.published.shapes import Id, Moment, Shape, WebsiteId

router = APIRouter(tags=["imports"])
_i, _l = imports.c, import_rows.c
ORDERS: Mapping[str, Order] = {"created_at": Order(_i.created_at, _i.id, datetime, nullable=False)}
LINES: Mapping[str, Order] = {"line": Order(_l.line, _l.line, int, nullable=False)}
State: TypeAlias = Literal[
    "uploaded", "planning", "planned", "committing", "done", "undoing", "undone", "failed", "cancelled"
]  # fmt: skip
Mode: TypeAlias = Literal["merge", "overwrite", "fill-empty", "create-only", "update-only"]
Kind: TypeAlias = Literal["contacts", "companies"]
Outcome: TypeAlias = Literal["create", "update", "unchanged", "skip", "error"]
RowState: TypeAlias = Literal["planned", "applied", "refused", "repaired", "undone", "kept"]


class LayoutFields(Given):
    """How the file is written, and what its rows are (without `kind`: as before)."""

    encoding: str = Field(max_length=40, examples=["utf-8"])
    separator: Literal[",", ";", "\t", "|"] = Field(examples=[","])
    header: bool = Field(
        strict=True, description="The first row names the columns.", examples=[True]
    )
    kind: Kind | None = Field(None, description="What each row is.", examples=["contacts"])


class ColumnFields(Given):
    """A column of the file and what it fills: a field, `data.KEY` for a custom attribute, or nothing."""

    column: str = Field(max_length=10_000, examples=["E-mail"])
    to: str | None = Field(None, max_length=300, examples=["email"])
    type: str = Field("text", max_length=40, description=", ".join(TYPES), examples=["text"])
    choices: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list, max_length=500, examples=[[]]
    )


class Import(Shape):
    """A CSV file of contacts or companies. `plan_hash` names the plan that a commit applies."""

    id: Id
    website_id: WebsiteId
    kind: Kind = Field(description="What each row is.", examples=["contacts"])
    state: State = Field(examples=["planned"])
    mode: Mode = Field(examples=["merge"])
    file_name: str = Field(examples=["contacts.csv"])
    file_size: int = Field(description="Bytes.")
    created_by: str = Field(examples=["Mira"])
    layout: dict[str, Any] = Field(
        examples=[{"encoding": "utf-8", "separator": ",", "header": True}]
    )
    columns: list[dict[str, Any]] = Field(examples=[[{"column": "E-mail", "to": "email"}]])
    options: dict[str, Any] = Field(examples=[{"segment": "customer"}])
    error: str | None
    counts: dict[str, Any] = Field(examples=[{"rows": 3, "create": 2, "error": 1}])
    plan_hash: str | None
    expires_at: Moment | None = Field(description="The plan can be committed until then.")
    repairs: str | None = Field(description="The import whose bad rows this file repairs.")
    created_at: Moment
    finished_at: Moment | None


class ImportPage(Page):
    data: list[Import]


class ImportRow(Shape):
    """A row of the file: what the plan says of it, and what became of it."""

    line: int
    outcome: Outcome
    state: RowState
    email: str | None = Field(description="In the normal form that matching uses.")
    contact_id: str | None
    company_id: str | None = Field(description="In a file of companies.")
    changes: Any = Field(description="Field by field, what it writes.")
    problems: Any = Field(description="Column, value and reason; warnings too.")


class ImportRowPage(Page):
    data: list[ImportRow]


class SavedMapping(Shape):
    name: str = Field(examples=["Newsletter"])
    kind: Kind = Field(examples=["contacts"])
    columns: list[dict[str, Any]] = Field(examples=[[{"column": "E-mail", "to": "email"}]])
    options: dict[str, Any] = Field(examples=[{"default_prefix": "+34"}])
    created_by: str = Field(examples=["Mira"])
    created_at: Moment


class MappingList(Shape):
    data: list[SavedMapping]
    next_cursor: None = None


_SHOWN = [_i[name] for name in Import.model_fields]
_ROW = [
    _l.line, _l.outcome, _l.state, _l.email_norm, _l.contact_id, _l.company_id, _l.changes,
    _l.problems,
]  # fmt: skip


async def load_import(connection: AsyncConnection, actor: Actor, import_id: str) -> Import:
    """Raises NotFound."""
    website_id = await website_with(connection, actor, imports, import_id, "import")
    query = select(*_SHOWN).where(_i.website_id == website_id, _i.id == import_id)
    return Import(**(await connection.execute(query)).one()._asdict())


@router.get(
    "/imports", operation_id="listImports", response_model=ImportPage, responses=errors(400, 404)
)
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


@router.get(
    "/imports/{import_id}", operation_id="getImport", response_model=Import, responses=errors(404)
)
async def get_import(request: Request, db: Db, actor: Caller, import_id: str) -> Response:
    async with db.read() as connection:
        return answer(request, await load_import(connection, actor, import_id))


@router.get(
    "/imports/{import_id}/rows", operation_id="listImportRows", response_model=ImportRowPage,
    responses=errors(400, 404),
)  # fmt: skip
async def list_rows(
    request: Request,
    db: Db,
    actor: Caller,
    import_id: str,
    outcome: Outcome | None = None,
    state: Annotated[RowState | None, Query()] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """The plan, row by row; after the commit what became of each."""
    async with db.read() as connection:
        found = await load_import(connection, actor, import_id)
        query = select(*_ROW).where(_l.website_id == found.website_id, _l.import_id == found.id)
        query = query.where(_l.outcome == outcome) if outcome else query
        query = query.where(_l.state == state) if state else query
        scope = {"i": found.id, "o": outcome, "s": state}
        page, following = await page_of(connection, query, LINES, "line", cursor, limit, scope)
    data = [
        ImportRow(
            line=row.line, outcome=row.outcome, state=row.state, email=row.email_norm,
            contact_id=made_contact(row), company_id=made_company(row), changes=row.changes,
            problems=row.problems,
        )
        for row in page.rows
    ]  # fmt: skip
    return answer(request, ImportRowPage(data=data, next_cursor=following))


@router.get(
    "/import-mappings", operation_id="listImportMappings", response_model=MappingList,
    responses=errors(404),
)  # fmt: skip
async def list_mappings(request: Request, db: Db, actor: Caller, website: Asked = None) -> Response:
    """Those that somebody saved, by name."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        rows = await saved_mappings(connection, website_id)
    names = SavedMapping.model_fields
    data = [SavedMapping(**{name: getattr(row, name) for name in names}) for row in rows]
    return answer(request, MappingList(data=data))
