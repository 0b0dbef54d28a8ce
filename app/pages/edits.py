"""Merging and taking back, deleting and restoring, pinning and denying: forms, and what they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app.edits.chosen import differing, value_of
from app.edits.hiding import hide, show
from app.edits.journal import Kind
from app.edits.links import decide_link, take_link_back
from app.edits.merges import (
    COLUMNS,
    check_pair,
    merge_companies,
    merge_contacts,
    require_row,
    unmerge,
)
from app.errors import NotFound, Refused
from app.pages import queries_conversation, queries_merges
from app.pages.access import CurrentActor, member
from app.pages.frame import Visit, database_of, visit
from app.pages.ids import known_id
from app.pages.security import require_own_request
from app.pages.wording import contact_name, visitor_name

router = APIRouter(dependencies=[Depends(member)])
CHANGES = [Depends(require_own_request)]

Typed = Annotated[str, Form()]
_FOLDERS: dict[Kind, str] = {"contact": "/contacts", "company": "/companies"}
_LABELS = {"name": "Name", "email": "Address shown first", "phone": "Phone", "avatar": "Picture",
           "domain": "Domain", "owner": "Owner"}  # fmt: skip


@router.get("/contacts/{row_id}/merge")
async def merge_contact_form(
    request: Request, row_id: str, other: str = "", q: str = ""
) -> Response:
    return await _merge_form(request, "contact", row_id, other, q)


@router.get("/companies/{row_id}/merge")
async def merge_company_form(
    request: Request, row_id: str, other: str = "", q: str = ""
) -> Response:
    return await _merge_form(request, "company", row_id, other, q)


async def _merge_form(request: Request, kind: Kind, row_id: str, other: str, q: str) -> Response:
    async with visit(request) as page:
        row = await _require(page.connection, page.website_id, kind, row_id)
        found = await queries_merges.candidates(page.connection, page.website_id, kind, q, row.id)
        loser = await _require(page.connection, page.website_id, kind, other) if other else None
        if loser is not None:
            check_pair(kind, loser, row)
    return page.show(
        "merge.html",
        kind=kind,
        folder=_FOLDERS[kind],
        row=row,
        name=_name_of(row),
        loser=loser,
        loser_name=_name_of(loser) if loser is not None else "",
        fields=_fields(kind, row, loser) if loser is not None else [],
        found=found,
        q=q,
    )


def _fields(kind: Kind, row: Any, loser: Any) -> list[dict[str, Any]]:
    """Where the two differ: name, label, both values, and whether the other's is the better guess."""
    return [
        {
            "name": name,
            "label": _label(name),
            "mine": _told(value_of(row, name), name),
            "theirs": _told(value_of(loser, name), name),
            "take": value_of(row, name) is None,
        }
        for name in differing(row, loser, COLUMNS[kind])
    ]


def _told(value: Any, name: str) -> str:
    if value is None:
        return ""
    return str(value[1] if name == "owner" else value)


def _name_of(row: Any) -> str:
    email, phone = getattr(row, "email", None), getattr(row, "phone", None)
    return contact_name(row.name, email, phone)


@router.post("/contacts/{row_id}/merge", dependencies=CHANGES)
async def merge_contact(
    request: Request,
    actor: CurrentActor,
    row_id: str,
    other: Typed,
    take: Annotated[list[str] | None, Form()] = None,
) -> Response:
    async def work(connection: AsyncConnection, website_id: str) -> None:
        await merge_contacts(connection, website_id, other, row_id, take or [], actor)

    return await _done(request, work, f"/contacts/{row_id}")


@router.post("/companies/{row_id}/merge", dependencies=CHANGES)
async def merge_company(
    request: Request,
    actor: CurrentActor,
    row_id: str,
    other: Typed,
    take: Annotated[list[str] | None, Form()] = None,
) -> Response:
    async def work(connection: AsyncConnection, website_id: str) -> None:
        await merge_companies(connection, website_id, other, row_id, take or [], actor)

    return await _done(request, work, f"/companies/{row_id}")


@router.post("/merges/{merge_id}/undo", dependencies=CHANGES)
async def take_merge_back(request: Request, actor: CurrentActor, merge_id: str) -> Response:
    async with visit(request) as page:
        website_id = page.website_id
    undone = await database_of(request).transact(
        lambda connection: unmerge(connection, website_id, merge_id, actor)
    )
    async with visit(request) as page:
        pair = [
            await require_row(page.connection, website_id, undone.kind, one)
            for one in (undone.winner_id, undone.loser_id)
        ]
        return page.show(
            "unmerged.html",
            folder=_FOLDERS[undone.kind],
            both=[(row.id, _name_of(row)) for row in pair],
            restored=[_label(name) for name in undone.restored],
            kept=[_label(name) for name in undone.kept],
        )


def _label(name: str) -> str:
    return _LABELS.get(name, name.removeprefix("attributes."))


@router.post("/contacts/{row_id}/delete", dependencies=CHANGES)
@router.post("/companies/{row_id}/delete", dependencies=CHANGES)
async def delete(request: Request, actor: CurrentActor, row_id: str) -> Response:
    kind = _kind_of(request)

    async def work(connection: AsyncConnection, website_id: str) -> None:
        await hide(connection, website_id, kind, [row_id], actor)

    return await _done(request, work, f"{_FOLDERS[kind]}/{row_id}")


@router.post("/contacts/{row_id}/restore", dependencies=CHANGES)
@router.post("/companies/{row_id}/restore", dependencies=CHANGES)
async def restore(request: Request, actor: CurrentActor, row_id: str) -> Response:
    kind = _kind_of(request)

    async def work(connection: AsyncConnection, website_id: str) -> None:
        await show(connection, website_id, kind, row_id, actor)

    return await _done(request, work, f"{_FOLDERS[kind]}/{row_id}")


def _kind_of(request: Request) -> Kind:
    return "contact" if request.url.path.startswith("/contacts/") else "company"


@router.get("/conversations/{row_id}/move")
async def move_form(
    request: Request, row_id: str, q: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    async with visit(request) as page:
        row = await _conversation(page, row_id)
        found = await queries_merges.candidates(
            page.connection, page.website_id, "contact", q, row.contact_id
        )
    return page.show("move.html", row=row, name=visitor_name(row), found=found, q=q)


@router.post("/conversations/{row_id}/link", dependencies=CHANGES)
async def decide(
    request: Request, actor: CurrentActor, row_id: str, contact_id: Typed, decision: Typed
) -> Response:
    async def work(connection: AsyncConnection, website_id: str) -> None:
        if decision == "release":
            await take_link_back(connection, website_id, row_id, contact_id, actor)
        elif decision in {"pin", "deny"}:
            word: Any = decision
            await decide_link(connection, website_id, row_id, contact_id, word, actor)
        else:
            raise Refused("A link is pinned, denied or released.")

    return await _done(request, work, f"/conversations/{row_id}")


async def _conversation(page: Visit, row_id: str) -> Any:
    row = None
    if known_id(row_id):
        row = await queries_conversation.get_conversation(page.connection, page.website_id, row_id)
    if row is None:
        raise NotFound("There is no such conversation in this website.")
    return row


async def _require(connection: AsyncConnection, website_id: str, kind: Kind, row_id: str) -> Any:
    if not known_id(row_id):
        raise NotFound(f"There is no such {kind} in this website.")
    return await require_row(connection, website_id, kind, row_id)


async def _done(
    request: Request, work: Callable[[AsyncConnection, str], Awaitable[None]], path: str
) -> Response:
    """One transaction, then the page anew."""
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    await database_of(request).transact(lambda connection: work(connection, website_id))
    return RedirectResponse(frame.url(path, done="yes"), status_code=303)
