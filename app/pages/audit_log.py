"""`/settings/audit`: who changed what, and when; narrowed, paged, and as a CSV file (SPEC P4)."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.audit import audit
from app.accounts.audit_entries import ORDER, Wanted, entries_query
from app.accounts.tables import audit_log
from app.db.base import AnySelect, StoredRow
from app.db.keyset import fetch_page, read_cursor
from app.db.session import Database
from app.pages.access import CurrentActor, admin
from app.pages.frame import database_of, look_in
from app.pages.listing import Asked, Sort, read_day, read_listing
from app.pages.times import Moments
from app.spreadsheet import defused

router = APIRouter(dependencies=[Depends(admin)])

AUDIT = "/settings/audit"
_a = audit_log.c
SORTS = {"at": Sort("When", ORDER)}
DEFAULT_SORT = "-at"
FILTERS: dict[str, frozenset[str] | None] = {
    "who": None, "action": None, "of": None, "from": None, "to": None,
}  # fmt: skip
_ROWS_OF_A_FILE = 1_000
_MOST_CHOICES = 200
COLUMNS = ("at", "actor_kind", "actor_id", "actor_name", "action", "website_id",
           "subject_kind", "subject_id", "before", "after", "request_id")  # fmt: skip


@router.get(AUDIT)
async def audit_page(request: Request) -> Response:
    asked = _read(request)
    async with look_in(request) as page:
        query = narrowed(asked, page.frame.moments)
        found = await fetch_page(page.connection, query, asked.order, asked.cursor, asked.size)
        return page.show(
            "audit.html",
            asked=asked,
            params=asked.params(DEFAULT_SORT),
            found=found,
            actors=await _actors(page.connection),
            actions=await _actions(page.connection),
            names={website.id: website.name for website in page.frame.websites},
            changed=changed,
        )


def _read(request: Request) -> Asked:
    asked = read_listing(request.query_params, SORTS, DEFAULT_SORT, FILTERS)
    for name in ("from", "to"):
        if name in asked.chosen and read_day(asked.chosen[name]) is None:
            asked.notices.append("A date is written like 2026-01-31; that one is left out.")
            asked = asked.without(name)
    return asked


def narrowed(asked: Asked, moments: Moments) -> AnySelect:
    """Days are whole, in the time zone of the website one is at."""
    chosen = asked.chosen
    first, last = read_day(chosen.get("from")), read_day(chosen.get("to"))
    return entries_query(
        Wanted(
            who=chosen.get("who"),
            action=chosen.get("action"),
            website_id=chosen.get("of"),
            since=moments.start_of(first) if first else None,
            until=moments.start_of(last + timedelta(days=1)) if last else None,
        )
    )


async def _actors(connection: AsyncConnection) -> Sequence[StoredRow]:
    query = select(_a.actor_id, _a.actor_name).distinct().order_by(_a.actor_name, _a.actor_id)
    return (await connection.execute(query.limit(_MOST_CHOICES))).all()


async def _actions(connection: AsyncConnection) -> Sequence[str]:
    query = select(_a.action).distinct().order_by(_a.action).limit(_MOST_CHOICES)
    return (await connection.execute(query)).scalars().all()


def changed(
    before: dict[str, Any] | None, after: dict[str, Any] | None
) -> list[tuple[str, str, str]]:
    """Field, old and new value as text; empty for none."""
    old, new = before or {}, after or {}
    return [(key, _text(old.get(key)), _text(new.get(key))) for key in dict.fromkeys([*old, *new])]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


@router.get(f"{AUDIT}.csv")
async def audit_file(request: Request, actor: CurrentActor) -> Response:
    asked, db = _read(request), database_of(request)
    async with look_in(request) as page:
        query = narrowed(asked, page.frame.moments)
    async with db.write() as connection:
        await audit(connection, actor, "audit.exported", after=dict(asked.chosen))
    headers = {
        "Content-Disposition": 'attachment; filename="audit.csv"',
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(
        _lines(db, query), media_type="text/csv; charset=utf-8", headers=headers
    )


async def _lines(db: Database, query: AnySelect) -> AsyncIterator[str]:
    """Page by page, each in a transaction of its own: whoever reads slowly holds nothing up."""
    yield _csv([COLUMNS])
    text: str | None = ""
    while text is not None:
        async with db.read() as connection:
            cursor = read_cursor(text, ORDER)
            page = await fetch_page(connection, query, ORDER, cursor, _ROWS_OF_A_FILE)
        yield _csv([[_cell(getattr(row, name)) for name in COLUMNS] for row in page.rows])
        text = page.next


def _cell(value: Any) -> str:
    return defused(value.isoformat() if isinstance(value, datetime) else _text(value))


def _csv(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
