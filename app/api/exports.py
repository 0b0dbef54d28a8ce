"""Any list as one file: CSV, JSON lines or Parquet, streamed, with the filters of the list (SPEC V4, V7)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import IO, Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from app.api import companies, contacts, conversations
from app.api.caller import Asked, Caller, Db, Text, chosen
from app.api.domains import DomainTie, shape_of
from app.api.events import Event
from app.api.imports import Import
from app.api.merges import OpenMerge
from app.api.messages import Include
from app.api.operators import Operator
from app.api.problems import errors
from app.api.remedies import Remedy
from app.api.syncs import Sync
from app.api.unmatched import Reason
from app.companies.tables import domain_ties
from app.conversations.tables import conversations as talks
from app.conversations.tables import operators
from app.db.base import AnySelect
from app.db.session import Database
from app.edits.tables import remedies
from app.errors import Refused
from app.imports.tables import imports
from app.matching.tables import merges
from app.published.export import MEDIA_TYPES, Export, Listed, stream
from app.published.parquet import write_parquet
from app.published.plain import listed
from app.sync.tables import sync_runs
from app.webhooks.tables import inbox_events

router = APIRouter(prefix="/exports", tags=["exports"])
Noun: TypeAlias = Literal[
    "contacts", "companies", "conversations", "messages", "unmatched", "domains", "merges",
    "remedies", "syncs", "imports", "events", "operators",
]  # fmt: skip
LISTED: Mapping[str, Listed] = {
    "domains": listed(domain_ties, "domain", DomainTie, shape_of),
    "merges": listed(merges, "id", OpenMerge, hidden=merges.c.undone_at.is_not(None)),
    "remedies": listed(remedies, "id", Remedy),
    "syncs": listed(sync_runs, "id", Sync),
    "imports": listed(imports, "id", Import),
    "events": listed(inbox_events, "id", Event),
    "operators": listed(
        operators, "user_id", Operator, lambda row: Operator(id=row.user_id, name=row.name)
    ),
}
TYPES = {**MEDIA_TYPES, "parquet": "application/vnd.apache.parquet"}
_FILTERS: Mapping[str, set[str]] = {
    "contacts": {"q", "email", "company", "source", "segment", "deleted"},
    "companies": {"q", "domain"},
    "conversations": {"q", "status", "contact", "company", "operator", "origin", "updated_since"}
    | {"text", "include"},
    "unmatched": {"reason"},
    "messages": {"include"},
}
_BLOCK = 1 << 16
Narrow: TypeAlias = Callable[[AnySelect], AnySelect]


@router.get(
    "/{noun}", operation_id="exportList", response_class=StreamingResponse,
    responses=errors(404) | {200: {"content": {kind: {} for kind in TYPES.values()}}},
)  # fmt: skip
async def export_list(
    request: Request,
    db: Db,
    actor: Caller,
    noun: Noun,
    form: Annotated[Literal["csv", "jsonl", "parquet"], Query(alias="format")] = "csv",
    website: Asked = None,
    include: Include = [],  # noqa: B006  # FastAPI copies it
    q: Text = None,
    email: Text = None,
    company: Text = None,
    source: contacts.Source | None = None,
    segment: Text = None,
    deleted: contacts.Deleted = "no",
    domain: Text = None,
    status: conversations.Status | None = None,
    contact: Text = None,
    operator: Text = None,
    origin: Text = None,
    updated_since: conversations.Since = None,
    text: conversations.Said = None,
    reason: Reason | None = None,
) -> StreamingResponse:
    """Any list, whole, with the filters that the list has; others are refused. In CSV, cells that a
    spreadsheet would run begin with `'`. Parquet needs the optional library pyarrow.
    """
    _refuse_others(noun, set(request.query_params))
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
    of = (contact, company, operator, origin)
    people = (q, email, company, source, segment, deleted)
    talk = (website_id, q, status, of, updated_since)
    narrows: Mapping[str, Narrow] = {
        "contacts": lambda query: contacts.narrowed(query, *people),
        "companies": lambda query: companies.narrowed(query, q, domain),
        "conversations": lambda query: conversations.with_message(
            conversations.narrowed(query, *talk), website_id, text, include
        ),
        "unmatched": partial(_unmatched, reason=reason),
    }
    export = Export(
        "conversations" if noun == "unmatched" else noun,
        [website_id],
        notes="notes" in include,
        hidden=noun == "contacts" and deleted != "no",
        narrow=narrows.get(noun, lambda query: query),
        of=LISTED.get(noun),
    )
    headers = {
        "Content-Disposition": f'attachment; filename="{noun}.{form}"',
        "Cache-Control": "private, no-store",
    }
    body = await _parquet(db, export) if form == "parquet" else stream(db, export, form)
    return StreamingResponse(body, media_type=TYPES[form], headers=headers)


def _unmatched(query: AnySelect, *, reason: str | None) -> AnySelect:
    missing = talks.c.unmatched_reason
    return query.where(missing.is_not(None) if reason is None else missing == reason)


def _refuse_others(noun: str, given: set[str]) -> None:
    """One that is left out would mean that the file holds more than was asked for."""
    known = {name for names in _FILTERS.values() for name in names}
    wrong = sorted((given & known) - _FILTERS.get(noun, set()))
    if wrong:
        raise Refused(f"{noun} cannot be narrowed by {wrong[0]}.")


async def _parquet(db: Database, export: Export) -> AsyncIterator[bytes]:
    """Its footer is written last, so the file is whole before any of it is sent. Raises Refused."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by whoever reads it to its end
    try:
        await write_parquet(db, export, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return _blocks(file)


async def _blocks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block
