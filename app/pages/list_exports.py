"""`/contacts.csv`, `/companies.csv`, `/conversations.csv`: a list as its address shows it, all its pages.

Read in pieces, so that neither memory nor a transaction grows with the list.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import StringIO
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.keyset import KeyPage, read_cursor
from app.pages import queries_companies, queries_contacts, queries_conversations
from app.pages.access import viewer
from app.pages.conversations import asked_of
from app.pages.facts import texts
from app.pages.frame import database_of, visit
from app.pages.listing import Asked, read_listing
from app.pages.rows import AnyRow
from app.pages.times import Moments
from app.pages.wording import visitor_name
from app.spreadsheet import defused

router = APIRouter(dependencies=[Depends(viewer)])

ROWS_AT_ONCE = 500

Cells = Sequence[object]
ReadPiece = Callable[[AsyncConnection, Asked], Awaitable[tuple[KeyPage, list[Cells]]]]


@dataclass(frozen=True, slots=True)
class Export:
    """`head` names the columns of what `read` gives for each row."""

    name: str
    head: tuple[str, ...]
    asked: Asked
    read: ReadPiece


@router.get("/contacts.csv")
async def contacts_csv(request: Request) -> Response:
    q = queries_contacts
    asked = read_listing(request.query_params, q.SORTS, q.DEFAULT_SORT, q.FILTERS)
    website_id, _ = await _website(request)

    async def read(connection: AsyncConnection, part: Asked) -> tuple[KeyPage, list[Cells]]:
        page = await q.read_page(connection, website_id, part)
        owners = await q.companies_of(connection, website_id, [row.id for row in page.rows])
        return page, [
            (
                row.id, row.email, row.name, row.phone, _names(owners.get(row.id, ())),
                "|".join(texts(row.segments)), row.source, row.last_active_at, row.signed_up_at,
            )
            for row in page.rows
        ]  # fmt: skip

    head = ("id", "email", "name", "phone", "companies", "segments", "source", "last_active_at",
            "signed_up_at")  # fmt: skip
    return _stream(request, Export("contacts", head, asked, read))


@router.get("/companies.csv")
async def companies_csv(request: Request) -> Response:
    q = queries_companies
    asked = read_listing(request.query_params, q.SORTS, q.DEFAULT_SORT, q.FILTERS)
    website_id, _ = await _website(request)

    async def read(connection: AsyncConnection, part: Asked) -> tuple[KeyPage, list[Cells]]:
        page = await q.read_page(connection, website_id, part)
        ids = [row.id for row in page.rows]
        members = await q.member_counts(connection, website_id, ids)
        counts = await q.counts_of(connection, website_id, ids)
        return page, [
            (
                row.id, row.name, row.domain, members.get(row.id, 0),
                *_counted(counts.get(row.id)), row.created_at,
            )
            for row in page.rows
        ]  # fmt: skip

    head = ("id", "name", "domain", "people", "conversations", "open", "last_contact_at",
            "added_at")  # fmt: skip
    return _stream(request, Export("companies", head, asked, read))


@router.get("/conversations.csv")
async def conversations_csv(request: Request) -> Response:
    q = queries_conversations
    asked = asked_of(request.query_params)
    website_id, moments = await _website(request)

    async def read(connection: AsyncConnection, part: Asked) -> tuple[KeyPage, list[Cells]]:
        page = await q.read_page(connection, website_id, part, moments)
        owners = await q.companies_of(connection, website_id, [row.id for row in page.rows])
        return page, [
            (
                row.id, row.status, row.subject, visitor_name(row),
                row.contact_email or row.email, _names(owners.get(row.id, ())), row.assigned_to,
                row.origin, row.unmatched_reason, row.message_count, row.rating,
                row.crisp_created_at, row.crisp_updated_at,
            )
            for row in page.rows
        ]  # fmt: skip

    head = ("id", "status", "subject", "contact", "email", "companies", "assigned_to", "origin",
            "unmatched_reason", "messages", "rating", "opened_at", "updated_at")  # fmt: skip
    return _stream(request, Export("conversations", head, asked, read))


async def _website(request: Request) -> tuple[str, Moments]:
    # Closed before the first piece is sent: a slow reader must not hold a transaction.
    async with visit(request) as page:
        return page.website_id, page.frame.moments


def _names(companies: Sequence[AnyRow]) -> str:
    return "|".join(str(company.name) for company in companies)


def _counted(row: AnyRow | None) -> Cells:
    return (row.conversations, row.open, row.last_contact) if row is not None else (0, 0, None)


def _stream(request: Request, export: Export) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{export.name}.csv"',
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(
        _lines(request, export), media_type="text/csv; charset=utf-8", headers=headers
    )


async def _lines(request: Request, export: Export) -> AsyncIterator[str]:
    # Without the mark, spreadsheet programs take the file for one in an old encoding.
    yield "\ufeff" + written([export.head])
    asked: Asked | None = replace(export.asked, size=ROWS_AT_ONCE, cursor=None)
    while asked is not None:
        async with database_of(request).read() as connection:
            page, rows = await export.read(connection, asked)
        yield written(rows)
        cursor = read_cursor(page.next, asked.order) if page.next else None
        asked = replace(asked, cursor=cursor) if cursor else None


def written(rows: Sequence[Cells]) -> str:
    text = StringIO()
    csv.writer(text).writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    """Numbers and times as they are; no text that a spreadsheet program would run (SPEC P5)."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, int | float):
        return str(value)
    return defused(str(value).replace("\x00", ""))


def export_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a list without those of its pages."""
    return {name: value for name, value in params.items() if name not in {"size", "cursor"}}
