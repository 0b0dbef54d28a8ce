"""`/companies` and one company with its people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.accounts.saved_views import views_of
from app.db.keyset import read_cursor
from app.db.together import ask_together
from app.errors import NotFound
from app.pages import queries_companies as queries
from app.pages import queries_conversations, queries_figures
from app.pages.access import CurrentActor, viewer
from app.pages.charts import opened_chart
from app.pages.facts import attributes
from app.pages.frame import Visit, visit
from app.pages.ids import known_id
from app.pages.insight_figures import read_own
from app.pages.listing import read_listing
from app.pages.queries_merges import merges_query
from app.pages.queries_ties import ties_query

router = APIRouter(dependencies=[Depends(viewer)])

CONVERSATIONS_SHOWN = 50
WEEKS = 12


@router.get("/companies")
async def company_list(request: Request, actor: CurrentActor) -> Response:
    params = request.query_params
    asked = read_listing(params, queries.SORTS, queries.DEFAULT_SORT, queries.FILTERS)
    async with visit(request) as page:
        found = await queries.list_companies(page.connection, page.website_id, asked)
        views = await views_of(page.connection, actor, page.website_id, "companies")
    return page.show(
        "companies.html",
        asked=asked,
        sorts=queries.SORTS,
        params=asked.params(queries.DEFAULT_SORT),
        views=views,
        found=found,
    )


@router.get("/companies/{company_id}")
async def company(request: Request, company_id: str) -> Response:
    async with visit(request) as page:
        row = await _require(page, company_id)
        context = await _context(page, row.id)
    profile, custom = attributes(row.attributes)
    saved = request.query_params.get("saved", "")
    return page.show("company.html", row=row, saved=saved, profile=profile + custom, **context)


async def _require(page: Visit, company_id: str) -> Any:
    row = None
    if known_id(company_id):
        row = await queries.get_company(page.connection, page.website_id, company_id)
    if row is None:
        raise NotFound("There is no such company in this website.")
    return row


async def _context(page: Visit, company_id: str) -> dict[str, Any]:
    connection, website_id, moments = page.connection, page.website_id, page.frame.moments
    own = (queries_conversations.belongs_to(website_id, company_id),)
    cursor = read_cursor(page.request.query_params.get("cursor", ""), queries_conversations.FEW)
    weeks = moments.weeks(WEEKS)
    figures = await queries_figures.figures(connection, website_id, own, moments, weeks)
    members, counts, merged, ties, aliases = await ask_together(
        connection,
        queries.members_query(website_id, company_id),
        queries.member_counts_query(website_id, [company_id]),
        merges_query(website_id, "company", company_id),
        ties_query(website_id, company_id),
        queries.aliases_query(website_id, company_id),
    )
    return {
        "answered": await read_own(page, "company", company_id, own, figures),
        "members": members[: queries.MEMBERS_SHOWN],
        "more_members": len(members) > queries.MEMBERS_SHOWN,
        "member_count": counts[0].members if counts else 0,
        "merged": merged,
        "ties": ties,
        "aliases": aliases,
        "figures": figures,
        "shown": await queries_conversations.newest(
            connection, website_id, own, CONVERSATIONS_SHOWN, cursor
        ),
        "chart": opened_chart(weeks, figures.opened, page.frame.url, company=company_id),
    }
