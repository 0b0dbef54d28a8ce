"""Saving and removing views of lists; each ends at its list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.saved_views import remove_view, save_view
from app.errors import Refused
from app.pages import queries_companies, queries_contacts, queries_conversations
from app.pages.access import CurrentActor, viewer
from app.pages.frame import database_of, visit
from app.pages.ids import known_id
from app.pages.security import require_own_request
from app.pages.text import clean

router = APIRouter(dependencies=[Depends(require_own_request), Depends(viewer)])

Typed = Annotated[str, Form()]
_LONGEST_QUERY = 2_000
_KNOWN: Mapping[str, frozenset[str]] = {
    "contacts": frozenset({"q", "sort", "size", *queries_contacts.FILTERS}),
    "companies": frozenset({"q", "sort", "size", *queries_companies.FILTERS}),
    "conversations": frozenset({"q", "sort", "size", *queries_conversations.FILTERS}),
}


@router.post("/views")
async def save(
    request: Request,
    actor: CurrentActor,
    which: Annotated[str, Form(alias="list")] = "",
    name: Typed = "",
    query: Typed = "",
) -> Response:
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    params = wanted(which, query)
    await database_of(request).transact(
        lambda connection: save_view(connection, actor, website_id, which, clean(name), params)
    )
    return RedirectResponse(frame.url(f"/{which}", **params), status_code=303)


@router.post("/views/{view_id}/remove")
async def remove(request: Request, actor: CurrentActor, view_id: str) -> Response:
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    own_id = view_id if known_id(view_id) else ""
    row = await database_of(request).transact(
        lambda connection: remove_view(connection, actor, website_id, own_id)
    )
    return RedirectResponse(frame.url(f"/{row.list}"), status_code=303)


def wanted(which: str, query: str) -> dict[str, str]:
    """What of a query belongs to that list; never a place in it, another site or another website."""
    if which not in _KNOWN:
        raise Refused("Views are saved of contacts, companies and conversations.")
    if len(query) > _LONGEST_QUERY:
        raise Refused("This list has an address too long to be saved.")
    pairs = parse_qsl(query, max_num_fields=40)
    return {name: clean(value) for name, value in pairs if name in _KNOWN[which]}
