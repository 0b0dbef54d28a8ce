from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from sqlalchemy import exists, select

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, Text, chosen
from app.api.finding import load_one
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.companies.tables import companies, company_aliases
from app.db.base import AnySelect
from app.db.keyset import ByteOrder, Order
from app.normal import normal_domain
from app.published.loading import load_companies
from app.published.searching import has_words
from app.published.shapes import Company

router = APIRouter(prefix="/companies", tags=["companies"])
_c = companies.c
ORDERS: Mapping[str, Order] = {
    "id": Order(_c.id, _c.id, str, nullable=False),
    "name": Order(ByteOrder(_c.search), _c.id, str, nullable=False),
    "created_at": Order(_c.created_at, _c.id, datetime, nullable=False),
}
Sort = Literal["id", "name", "-name", "created_at", "-created_at"]


class CompanyPage(Page):
    data: list[Company]


@router.get(
    "", operation_id="listCompanies", response_model=CompanyPage, responses=errors(400, 404)
)
async def list_companies(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    q: Text = None,
    domain: Text = None,
    sort: Sort = "id",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """`q`: words of names. `domain`: any domain of the company, exactly."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        live = select(_c.id).where(_c.website_id == website_id, _c.deleted_at.is_(None))
        query = narrowed(live, q, domain)
        scope = {"w": website_id, "q": q, "d": domain}
        page, following = await page_of(connection, query, ORDERS, sort, cursor, limit, scope)
        ids = [row.id for row in page.rows]
        found = await load_companies(connection, website_id, ids)
    return answer(request, CompanyPage(data=[found[one] for one in ids], next_cursor=following))


def narrowed(query: AnySelect, q: str | None, domain: str | None) -> AnySelect:
    """What the filters of the list leave."""
    query = has_words(query, _c.search, q)
    if domain is None:
        return query
    a = company_aliases.c
    same = (a.website_id == _c.website_id, a.company_id == _c.id, a.kind == "domain")
    return query.where(exists().where(*same, a.value == (normal_domain(domain) or "")))


@router.get(
    "/{company_id}", operation_id="getCompany", response_model=Company, responses=errors(404)
)
async def get_company(request: Request, db: Db, actor: Caller, company_id: str) -> Response:
    async with db.read() as connection:
        found = await load_one(connection, actor, companies, company_id, "company", load_companies)
    return answer(request, found)
