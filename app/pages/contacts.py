"""`/contacts` and one contact."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app import clock
from app.accounts.actors import Role
from app.accounts.saved_views import views_of
from app.conversations.tables import conversations as table
from app.db.keyset import read_cursor
from app.db.together import ask_together
from app.errors import NotFound
from app.pages import queries_contacts as queries
from app.pages import queries_conversation, queries_conversations, queries_figures
from app.pages.access import CurrentActor, viewer
from app.pages.facts import sourced, sourced_heads, texts
from app.pages.frame import Visit, visit
from app.pages.ids import known_id
from app.pages.insight_figures import read_own
from app.pages.listing import read_listing
from app.pages.queries_merges import merges_query
from app.pages.wording import contact_name
from app.sync.refresh_now import cost_of_contact

router = APIRouter(dependencies=[Depends(viewer)])

CONVERSATIONS_SHOWN = 50
WEEKS = 12


@router.get("/contacts")
async def contact_list(request: Request, actor: CurrentActor) -> Response:
    params = request.query_params
    asked = read_listing(params, queries.SORTS, queries.DEFAULT_SORT, queries.FILTERS)
    async with visit(request) as page:
        found = await queries.list_contacts(page.connection, page.website_id, asked)
        views = await views_of(page.connection, actor, page.website_id, "contacts")
    return page.show(
        "contacts.html",
        asked=asked,
        sorts=queries.SORTS,
        params=asked.params(queries.DEFAULT_SORT),
        views=views,
        found=found,
        erased="erased" in params,
    )


@router.get("/contacts/{contact_id}")
async def contact(request: Request, actor: CurrentActor, contact_id: str) -> Response:
    async with visit(request) as page:
        row = await _require(page, contact_id)
        context = await _context(page, row.id)
    website: Any = page.frame.website
    profile, custom = sourced(row.attributes, row.field_sources)
    return page.show(
        "contact.html",
        row=row,
        cost=cost_of_contact(custom_data=website.import_custom_data),
        as_of=clock.from_ms(row.observed_ms) if row.observed_ms else None,
        may_erase=actor.may(Role.ADMIN),
        refreshed="refreshed" in request.query_params,
        saved=request.query_params.get("saved", ""),
        heads=sourced_heads(row),
        name=contact_name(row.name, row.email, row.phone),
        profile=profile,
        custom=custom,
        segments=texts(row.segments),
        **context,
    )


async def _require(page: Visit, contact_id: str) -> Any:
    row = None
    if known_id(contact_id):
        row = await queries.get_contact(page.connection, page.website_id, contact_id)
    if row is None:
        raise NotFound("There is no such contact in this website.")
    return row


async def _context(page: Visit, contact_id: str) -> dict[str, Any]:
    connection, website_id, moments = page.connection, page.website_id, page.frame.moments
    own = (table.c.contact_id == contact_id,)
    cursor = read_cursor(page.request.query_params.get("cursor", ""), queries_conversations.FEW)
    shown = await queries_conversations.newest(
        connection, website_id, own, CONVERSATIONS_SHOWN, cursor
    )
    ids = [row.id for row in shown.rows]
    merged, addresses, memberships = await ask_together(
        connection,
        merges_query(website_id, "contact", contact_id),
        queries.addresses_query(website_id, contact_id),
        queries_conversation.memberships_query(website_id, contact_id),
    )
    weeks = moments.weeks(WEEKS)
    figures = await queries_figures.figures(connection, website_id, own, moments, weeks)
    return {
        "answered": await read_own(page, "contact", contact_id, own, figures),
        "merged": merged,
        "addresses": addresses,
        "memberships": memberships,
        "figures": figures,
        "shown": shown,
        "owners": await queries_conversations.companies_of(connection, website_id, ids),
    }
