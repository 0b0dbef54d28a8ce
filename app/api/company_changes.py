"""Making, changing, deleting and restoring companies, as a person does it on the pages (SPEC D6, V2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import IfMatch, answer, require_match
from app.api.caller import Asked, Caller, Db, chosen, member
from app.api.finding import website_with
from app.api.given import Attributes, Given, Line, lines
from app.api.problems import errors
from app.companies.tables import companies
from app.contacts.readers import text_of
from app.db.session import Database
from app.edits.companies import ATTRIBUTE, edit_company, make_company
from app.edits.hiding import hide, show
from app.edits.three_way import Change
from app.published.loading import load_companies
from app.published.shapes import Company
from app.websites.rules import lock_website

router = APIRouter(prefix="/companies", tags=["companies"])
Work: TypeAlias = Callable[[AsyncConnection, str], Awaitable[Any]]


class CompanyFields(Given):
    """What is left out stays as it is; null or an empty list empties it."""

    name: Annotated[str | None, Field(max_length=300, examples=["Acme"])] = None
    domain: Annotated[str | None, Field(max_length=300, examples=["acme.example"])] = None
    names: Annotated[
        list[Line] | None,
        Field(description="Other names that it goes by.", examples=[["Acme Ltd"]], max_length=200),
    ] = None
    domains: Annotated[
        list[Line] | None,
        Field(description="Other domains.", examples=[["acme.test"]], max_length=200),
    ] = None
    owner_id: Annotated[
        Line | None, Field(description="An operator's id (GET /operators).", examples=[None])
    ] = None
    attributes: Attributes = Field(default_factory=dict)

    def texts(self) -> dict[str, str]:
        """By field of the form, what is given."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        found: dict[str, str] = {}
        found |= {name: given[name] or "" for name in ("name", "domain") if name in given}
        found |= {name: lines(given[name]) for name in ("names", "domains") if name in given}
        if "owner_id" in given:
            found["owner"] = self.owner_id or ""
        return found | {f"{ATTRIBUTE}{key}": text_of(v) for key, v in self.attributes.items()}


class CompanyChange(CompanyFields):
    follow_crisp: Annotated[
        list[Line],
        Field(description="`name`: take Crisp's again.", examples=[[]], max_length=10),
    ] = Field(default_factory=list)


@router.post(
    "", operation_id="createCompany", status_code=201, response_model=Company,
    responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def create(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[CompanyFields, Body()],
    website: Asked = None,
) -> Response:
    """It needs a name or a domain. 409: another company has one of them."""

    async def work(connection: AsyncConnection) -> Company:
        website_id = await chosen(connection, actor, website)
        made = await make_company(connection, website_id, wanted.texts(), actor)
        return (await load_companies(connection, website_id, [made]))[made]

    made = await db.transact(work)
    return answer(request, made, 201, {"Location": f"/api/v1/companies/{made.id}"})


async def changed(
    db: Database, actor: Actor, company_id: str, seen: str | None, work: Work
) -> Company:
    """The company after `work`, in one transaction, in which nobody else changes it."""

    async def whole(connection: AsyncConnection) -> Company:
        website_id = await website_with(connection, actor, companies, company_id, "company")
        await lock_website(connection, website_id)
        now = (await load_companies(connection, website_id, [company_id]))[company_id]
        require_match(seen, now)
        await work(connection, website_id)
        return (await load_companies(connection, website_id, [company_id]))[company_id]

    return await db.transact(whole)


@router.patch(
    "/{company_id}", operation_id="changeCompany", response_model=Company,
    responses=errors(404, 409, 412), dependencies=[Depends(member)],
)  # fmt: skip
async def change(
    request: Request,
    db: Db,
    actor: Caller,
    company_id: str,
    wanted: Annotated[CompanyChange, Body()],
    if_match: IfMatch = None,
) -> Response:
    """Only what is given changes. What is written here stays until Crisp itself changes it."""

    async def work(connection: AsyncConnection, website_id: str) -> None:
        changes = {field: Change(text) for field, text in wanted.texts().items()}
        follow = wanted.follow_crisp
        await edit_company(connection, website_id, company_id, changes, actor, follow)

    return answer(request, await changed(db, actor, company_id, if_match, work))


@router.delete(
    "/{company_id}", operation_id="deleteCompany", response_model=Company,
    responses=errors(404, 412), dependencies=[Depends(member)],
)  # fmt: skip
async def delete(
    request: Request, db: Db, actor: Caller, company_id: str, if_match: IfMatch = None
) -> Response:
    """It is hidden, and no sync brings it back. It can be restored."""

    async def work(connection: AsyncConnection, website_id: str) -> None:
        await hide(connection, website_id, "company", [company_id], actor)

    return answer(request, await changed(db, actor, company_id, if_match, work))


@router.post(
    "/{company_id}/restore", operation_id="restoreCompany", response_model=Company,
    responses=errors(404, 412), dependencies=[Depends(member)],
)  # fmt: skip
async def restore(
    request: Request, db: Db, actor: Caller, company_id: str, if_match: IfMatch = None
) -> Response:
    """422 where it was merged into another: take that back instead."""

    async def work(connection: AsyncConnection, website_id: str) -> None:
        await show(connection, website_id, "company", company_id, actor)

    return answer(request, await changed(db, actor, company_id, if_match, work))
