from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen, member
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.companies.tables import domain_ties
from app.companies.ties import find_ties
from app.db.keyset import ByteOrder, Order
from app.edits.ties import (
    ignore_domain,
    release_domain,
    require_domain,
    tie_domain,
    tie_new_company,
)
from app.published.shapes import Id, Moment, Shape

router = APIRouter(prefix="/domains", tags=["domains"])
_t = domain_ties.c
_ORDER = {"domain": Order(ByteOrder(_t.domain), _t.domain, str, descending=False, nullable=False)}
DomainName = Annotated[
    str, Field(description="What follows the @, in IDNA ASCII.", examples=["acme.example"])
]


class DomainTie(Shape):
    """`company_id` null: ignored, its conversations are not asked about."""

    domain: DomainName
    company_id: Id | None
    ignored: bool
    tied_by: str = Field(examples=["mira@support.example"])
    tied_at: Moment


class DomainPage(Page):
    data: list[DomainTie]


class Tie(BaseModel):
    """One of `company_id`, `new_company` (a name) and `ignore`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"domain": "acme.example", "new_company": "Acme"},
                {"domain": "gmail.com", "ignore": True},
            ]
        },
    )
    domain: str = Field(min_length=1, max_length=320, description="An address of it will do, too.")
    company_id: str | None = Field(None, pattern=r"^[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}$")
    new_company: str | None = Field(None, min_length=1, max_length=200)
    ignore: bool = False

    @model_validator(mode="after")
    def _one(self) -> Tie:
        if sum((self.company_id is not None, self.new_company is not None, self.ignore)) != 1:
            raise ValueError("say one of company_id, new_company and ignore")
        return self


@router.get("", operation_id="listDomains", response_model=DomainPage, responses=errors(400, 404))
async def list_domains(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """E-mail domains that belong to a company by a person's word, or are ignored."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = select(domain_ties).where(_t.website_id == website_id)
        scope = {"w": website_id, "d": 1}
        page, following = await page_of(connection, query, _ORDER, "domain", cursor, limit, scope)
    data = [shape_of(row) for row in page.rows]
    return answer(request, DomainPage(data=data, next_cursor=following))


@router.post(
    "", operation_id="tieDomain", status_code=201, response_model=DomainTie,
    responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def tie(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[Tie, Body()],
    website: Asked = None,
) -> Response:
    """Its conversations then belong to the company, with a contact or without. Never free mail."""

    async def work(connection: AsyncConnection) -> DomainTie:
        website_id = await chosen(connection, actor, website)
        if wanted.company_id is not None:
            await tie_domain(connection, website_id, wanted.domain, wanted.company_id, actor)
        elif wanted.new_company is not None:
            await tie_new_company(connection, website_id, wanted.domain, wanted.new_company, actor)
        else:
            await ignore_domain(connection, website_id, wanted.domain, actor)
        domain = require_domain(wanted.domain)
        return shape_of((await find_ties(connection, website_id, [domain]))[domain])

    return answer(request, await db.transact(work), 201)


@router.delete(
    "/{domain}", operation_id="releaseDomain", status_code=204, response_class=Response,
    responses=errors(404), dependencies=[Depends(member)],
)  # fmt: skip
async def release(db: Db, actor: Caller, domain: str, website: Asked = None) -> Response:
    """Neither tied nor ignored any more."""

    async def work(connection: AsyncConnection) -> None:
        website_id = await chosen(connection, actor, website)
        await release_domain(connection, website_id, domain, actor)

    await db.transact(work)
    return Response(status_code=204)


def shape_of(row: Any) -> DomainTie:
    return DomainTie(
        domain=row.domain,
        company_id=row.company_id,
        ignored=row.company_id is None,
        tied_by=row.tied_by,
        tied_at=row.tied_at,
    )
