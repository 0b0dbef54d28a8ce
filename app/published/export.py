"""Exports of any list, as a stream of bytes that never holds more than a page of it (SPEC V4, P5).

A page is read by its key in a transaction of its own: whoever takes the file slowly holds none open,
and rows that come or go meanwhile shift nothing (docs/why.md).
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Table, func, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.db.base import AnySelect
from app.db.session import Database
from app.published.columns import COLUMNS, Cell, Column
from app.published.loading import (
    load_companies,
    load_contacts,
    load_conversations,
    load_messages,
)
from app.published.shapes import written
from app.spreadsheet import defused

Noun: TypeAlias = Literal["contacts", "companies", "conversations", "messages"]
Form: TypeAlias = Literal["csv", "jsonl"]
NOUNS: tuple[Noun, ...] = ("contacts", "companies", "conversations", "messages")
MEDIA_TYPES: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
}
ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of a noun come from; `hidden` is true of those that are left out."""

    table: Table
    key: tuple[str, ...]
    load: Callable[[AsyncConnection, str, Sequence[Any]], Any]
    hidden: ColumnElement[bool] | None = None

    @property
    def columns(self) -> list[Any]:
        return [self.table.c[name] for name in self.key]


SOURCES: Mapping[str, Source] = {
    "contacts": Source(contacts, ("id",), load_contacts, contacts.c.deleted_at.is_not(None)),
    "companies": Source(companies, ("id",), load_companies, companies.c.deleted_at.is_not(None)),
    "conversations": Source(
        conversations, ("id",), load_conversations, conversations.c.deleted_at.is_not(None)
    ),
    "messages": Source(messages, ("conversation_id", "fingerprint"), load_messages),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that is none of NOUNS: where its rows come from, and its columns (app/published/plain.py)."""

    source: Source
    columns: list[Column]


@dataclass(frozen=True, slots=True)
class Export:
    """What to export. `narrow` adds the conditions of a list to a SELECT from the noun's table.

    `notes`: private notes too. `hidden`: removed and hidden ones too. `of`: another list than the noun's.
    """

    noun: str
    website_ids: Sequence[str]
    notes: bool = False
    hidden: bool = False
    narrow: Callable[[AnySelect], AnySelect] = lambda query: query
    of: Listed | None = None

    @property
    def source(self) -> Source:
        return self.of.source if self.of is not None else SOURCES[self.noun]


async def stream(db: Database, export: Export, form: Form) -> AsyncIterator[bytes]:
    """The file, piece by piece."""
    if form == "jsonl":
        async for records in pages(db, export):
            yield b"".join(record.model_dump_json().encode() + b"\n" for record in records)
        return
    columns = await columns_of(db, export)
    yield _lines([[head for head, _, _ in columns]])
    async for records in pages(db, export):
        yield _lines([[_cell(fill(record)) for _, _, fill in columns] for record in records])


async def columns_of(db: Database, export: Export) -> list[Column]:
    if export.of is not None:
        return export.of.columns
    attributes: Sequence[str] = ()
    if export.noun in {"contacts", "companies"}:
        async with db.read() as connection:
            attributes = await _attribute_keys(connection, SOURCES[export.noun].table, export)
    return COLUMNS[export.noun](attributes)


async def _attribute_keys(connection: AsyncConnection, table: Table, export: Export) -> list[str]:
    sqlite = connection.dialect.name == "sqlite"
    split: Any = func.json_each if sqlite else func.jsonb_each
    keys = split(table.c.attributes).table_valued("key", "value", name="attribute")
    query = select(keys.c.key).select_from(table.join(keys, true()))
    query = query.where(table.c.website_id.in_(export.website_ids)).distinct()
    if not export.hidden:
        query = query.where(table.c.deleted_at.is_(None))
    return sorted((await connection.execute(query)).scalars())


async def pages(db: Database, export: Export) -> AsyncIterator[list[Any]]:
    """The records of each website, in the order of their keys."""
    source = export.source
    for website_id in export.website_ids:
        after: tuple[Any, ...] | None = None
        while True:
            async with db.read() as connection:
                query = _next(source, export, website_id, after)
                keys = [tuple(row) for row in await connection.execute(query)]
                asked = [key[0] for key in keys] if len(source.key) == 1 else keys
                found = await source.load(connection, website_id, asked)
            if keys:
                yield [found[one] for one in asked if one in found]
            if len(keys) < ROWS_AT_ONCE:
                break
            after = keys[-1]


def _next(
    source: Source, export: Export, website_id: str, after: tuple[Any, ...] | None
) -> AnySelect:
    columns = source.columns
    query: AnySelect = select(*columns).where(source.table.c.website_id == website_id)
    query = export.narrow(query)
    if source.hidden is not None and not export.hidden:
        query = query.where(~source.hidden)
    if export.noun == "messages" and not export.notes:
        query = query.where(messages.c.type != "note")
    if after is not None:
        query = query.where(tuple_(*columns) > tuple_(*after))
    return query.order_by(*columns).limit(ROWS_AT_ONCE)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return written(value)
    return defused(value) if isinstance(value, str) else str(value)


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    """RFC 4180, UTF-8."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
