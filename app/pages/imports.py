"""`/imports`: the files that came in, what each will do or did, row by row (SPEC I1, I7 to I11)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from app import clock
from app.contacts.attributes import known_attributes
from app.db.keyset import read_cursor
from app.db.session import Database
from app.errors import NotFound, Refused
from app.imports.columns import TYPES, ColumnMap, fields_of
from app.imports.company_export import company_lines
from app.imports.diff import MODES
from app.imports.downloads import SAMPLES, bad_rows_of
from app.imports.export import contact_lines, with_mark
from app.imports.known_companies import types_of_attributes
from app.imports.layout import ENCODINGS, SEPARATORS
from app.imports.mappings import mapped_like, saved_mappings
from app.imports.reader import read_head
from app.imports.setup import columns_of_import, layout_of_import
from app.imports.uploads import path_of
from app.pages import queries_imports as queries
from app.pages.access import viewer
from app.pages.frame import Frame, Visit, database_of, visit
from app.pages.ids import known_id
from app.pages.import_view import TABS, view_columns, view_import, view_row
from app.pages.parts import uploads_of
from app.pages.rendering import fragment
from app.pages.times import Moments

router = APIRouter(dependencies=[Depends(viewer)])

TICK_SECONDS = 0.5
STREAM_SECONDS = 20
PREVIEW_ROWS = 8
_CSV = "text/csv; charset=utf-8"


@router.get("/imports")
async def import_list(request: Request) -> Response:
    async with visit(request) as page:
        return await show_list(page)


async def show_list(page: Visit, status: int = 200, trouble: str = "") -> Response:
    text = page.request.query_params.get("cursor", "")
    cursor = read_cursor(text, queries.ORDER)
    found = await queries.list_imports(page.connection, page.website_id, cursor)
    return page.show(
        "imports.html",
        status,
        found=found,
        views=[view_import(row) for row in found.rows],
        lost_place=bool(text) and cursor is None,
        trouble=trouble,
        most_mb=uploads_of(page.request).most_mb,
    )


@router.get("/imports/sample.csv")
async def sample(kind: str = "contacts") -> Response:
    kind = kind if kind in SAMPLES else "contacts"
    return Response(SAMPLES[kind], media_type=_CSV, headers=_as_file(f"{kind}-sample.csv"))


@router.get("/imports/contacts.csv")
async def export_contacts(request: Request) -> Response:
    """All contacts, as a file that can be imported again."""
    return await _all_of(request, contact_lines, "contacts.csv")


@router.get("/imports/companies.csv")
async def export_companies(request: Request) -> Response:
    """All companies, as a file that can be imported again."""
    return await _all_of(request, company_lines, "companies.csv")


async def _all_of(
    request: Request, lines_of: Callable[[Database, str], AsyncIterator[str]], name: str
) -> Response:
    async with visit(request) as page:
        website_id = page.website_id
    lines = lines_of(database_of(request), website_id)
    return StreamingResponse(with_mark(lines), media_type=_CSV, headers=_as_file(name))


@router.get("/imports/{import_id}")
async def one_import(request: Request, import_id: str) -> Response:
    async with visit(request) as page:
        row = await require(page, import_id)
        if row.state == "uploaded" and page.frame.may("member"):
            return await show_mapping(page, row)
        return await _show_rows(page, row)


async def show_mapping(
    page: Visit,
    row: Any,
    status: int = 200,
    trouble: str = "",
    typed: dict[str, Any] | None = None,
) -> Response:
    """The form, as it was last filled in; `typed` is what was just refused."""
    folder = uploads_of(page.request).folder
    layout = layout_of_import(row)
    rows: list[Any] = []
    try:
        _, rows = await asyncio.to_thread(
            read_head, path_of(folder, row.file), layout, PREVIEW_ROWS
        )
    except Refused as refused:
        trouble = trouble or refused.message
    columns = columns_of_import(row)
    saved = await saved_mappings(page.connection, page.website_id, row.kind)
    wanted = page.request.query_params.get("mapping", "")
    options, mode = row.options, row.mode
    for one in saved:
        if one.name == wanted:
            columns = mapped_like([column.column for column in columns], one)
            options = one.options
    if typed is not None:
        columns, options, mode = typed["columns"], typed["options"], typed["mode"]
    return page.show(
        "import_map.html", status, it=view_import(row), layout=layout, trouble=trouble,
        columns=view_columns(columns, [one.cells for one in rows]), preview=rows,
        names=[column.column for column in columns_of_import(row)], saved=saved, wanted=wanted,
        options=options, mode=mode, modes=MODES, fields=fields_of(row.kind), types=TYPES, encodings=ENCODINGS,
        separators=SEPARATORS,
        known=await _known_keys(page, row.kind),
    )  # fmt: skip


async def _known_keys(page: Visit, kind: str) -> Collection[str]:
    if kind == "companies":
        return await types_of_attributes(page.connection, page.website_id)
    return await known_attributes(page.connection, page.website_id)


async def _show_rows(page: Visit, row: Any, status: int = 200) -> Response:
    it = view_import(row)
    asked = page.request.query_params.get("show", "")
    show = asked if asked in queries.SHOWS else _first_tab(it)
    text = page.request.query_params.get("cursor", "")
    cursor = read_cursor(text, queries.ROWS_ORDER)
    found = await queries.rows_of(page.connection, page.website_id, row.id, show, cursor)
    about = {one.company_id for one in found.rows if one.company_id}
    companies = await queries.company_names(page.connection, page.website_id, about)
    notices = ["That place in the list is not known; this is its first page."]
    return page.show(
        "import.html", status, it=it, found=found, show=show, tabs=TABS,
        rows=[view_row(one, row.state, companies) for one in found.rows],
        notices=notices if text and cursor is None else [],
        expired=row.expires_at is not None and row.expires_at <= clock.now(),
        columns=[column for column in columns_of_import(row) if column.to],
        options=row.options, label=partial(_label, row.kind),
    )  # fmt: skip


def _label(kind: str, column: ColumnMap) -> str:
    if column.is_custom:
        return f"{column.key} ({TYPES[column.type]})"
    return fields_of(kind)[column.to or ""]


def _first_tab(it: Any) -> str:
    return next((show for show, _ in TABS if it.count_of(show)), "create")


async def require(page: Visit, import_id: str) -> Any:
    row = None
    if known_id(import_id):
        row = await queries.get_import(page.connection, page.website_id, import_id)
    if row is None:
        raise NotFound("There is no such import in this website.")
    return row


@router.get("/imports/{import_id}/bad-rows.csv")
async def bad_rows(request: Request, import_id: str) -> Response:
    async with visit(request) as page:
        row = await require(page, import_id)
    lines = bad_rows_of(database_of(request), uploads_of(request).folder, row)
    headers = _as_file("bad-rows.csv")
    return StreamingResponse(with_mark(lines), media_type=_CSV, headers=headers)


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


@router.get("/imports/{import_id}/events")
async def import_events(request: Request, import_id: str) -> Response:
    """Server-sent events: `card` with the card's HTML whenever it changed, `end` when it is done."""
    async with visit(request) as page:
        await require(page, import_id)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    stream = _cards(request, page.frame, page.website_id, import_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _cards(
    request: Request, frame: Frame, website_id: str, import_id: str
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    until, sent = loop.time() + STREAM_SECONDS, ""
    while loop.time() < until and not await request.is_disconnected():
        async with database_of(request).read() as connection:
            row = await queries.get_import(connection, website_id, import_id)
        if row is None:
            return
        it = view_import(row)
        if not it.live:
            yield format_sse_event(event="end", data_str="finished")
            return
        moments = Moments(frame.moments.zone, clock.now())
        card = fragment("import_card.html", frame.at(moments), it=it)
        if card != sent:
            yield format_sse_event(event="card", data_str=card, retry=1_000)
            sent = card
        await asyncio.sleep(TICK_SECONDS)
