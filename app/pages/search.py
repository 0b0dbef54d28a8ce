"""`/search`: the best of each list for one text; each leads to its full list."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.db.keyset import KeyPage, fetch_page
from app.pages import queries_companies, queries_contacts, queries_conversations
from app.pages.frame import Visit, visit
from app.pages.listing import matching_words
from app.pages.text import clean

router = APIRouter()

ROWS = 6


@router.get("/search")
async def search(request: Request) -> Response:
    q = clean(request.query_params.get("q", ""))[:200].strip()
    async with visit(request) as page:
        found = await _find(page, q) if q else {}
    empty = KeyPage(())
    return page.show(
        "search.html",
        q=q,
        contacts=found.get("contacts", empty),
        companies=found.get("companies", empty),
        conversations=found.get("conversations", empty),
    )


async def _find(page: Visit, q: str) -> dict[str, KeyPage]:
    c, f = contacts.c, companies.c
    people = select(c.id, c.name, c.email, c.last_active_at).where(
        c.website_id == page.website_id, c.deleted_at.is_(None)
    )
    firms = select(f.id, f.name, f.domain).where(f.website_id == page.website_id)
    talks = queries_conversations.rows_of(page.website_id)
    plans = {
        "contacts": (people, c.search, queries_contacts.SORTS["active"].order),
        "companies": (firms, f.search, queries_companies.SORTS["name"].order),
        "conversations": (
            talks,
            conversations.c.search,
            queries_conversations.SORTS["updated"].order,
        ),
    }
    return {
        name: await fetch_page(page.connection, matching_words(query, column, q), order, None, ROWS)
        for name, (query, column, order) in plans.items()
    }
