from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.answers import answer
from app.api.caller import Caller, Db, member
from app.api.finding import website_with
from app.api.problems import errors
from app.companies.tables import companies
from app.contacts.tables import contacts
from app.edits.merges import merge_companies, merge_contacts, unmerge
from app.matching.tables import merges
from app.published.shapes import Id, Shape

router = APIRouter(tags=["merges"], dependencies=[Depends(member)])


class Into(BaseModel):
    model_config = ConfigDict(extra="forbid")
    into: str = Field(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}$",
        description="Its id.",
        examples=["7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"],
    )


class Merge(Shape):
    id: Id
    kind: Literal["contact", "company"]
    loser_id: Id
    winner_id: Id


class Unmerge(Merge):
    """`restored`: fields that are again as before; `kept`: changed by others since, so they stay."""

    restored: list[str]
    kept: list[str]


@router.post(
    "/contacts/{contact_id}/merge", operation_id="mergeContact", status_code=201,
    response_model=Merge, responses=errors(404, 409),
)  # fmt: skip
async def merge_contact(
    request: Request, db: Db, actor: Caller, contact_id: str, wanted: Annotated[Into, Body()]
) -> Response:
    """Into another contact, which then answers to the addresses and people ids of both."""
    async with db.read() as connection:
        website_id = await website_with(connection, actor, contacts, contact_id, "contact")
    pair = (contact_id, wanted.into)
    merge_id = await db.transact(lambda c: merge_contacts(c, website_id, *pair, None, actor))
    told = Merge(id=merge_id, kind="contact", loser_id=pair[0], winner_id=pair[1])
    return answer(request, told, 201)


@router.post(
    "/companies/{company_id}/merge", operation_id="mergeCompany", status_code=201,
    response_model=Merge, responses=errors(404, 409),
)  # fmt: skip
async def merge_company(
    request: Request, db: Db, actor: Caller, company_id: str, wanted: Annotated[Into, Body()]
) -> Response:
    """Into another company, which then has the members, names and conversations of both."""
    async with db.read() as connection:
        website_id = await website_with(connection, actor, companies, company_id, "company")
    pair = (company_id, wanted.into)
    merge_id = await db.transact(lambda c: merge_companies(c, website_id, *pair, None, actor))
    told = Merge(id=merge_id, kind="company", loser_id=pair[0], winner_id=pair[1])
    return answer(request, told, 201)


@router.post(
    "/merges/{merge_id}/undo", operation_id="undoMerge", response_model=Unmerge,
    responses=errors(404, 409),
)  # fmt: skip
async def undo_merge(request: Request, db: Db, actor: Caller, merge_id: str) -> Response:
    """Both are again what they were, each with what belongs to it by itself, also what came since."""
    async with db.read() as connection:
        website_id = await website_with(connection, actor, merges, merge_id, "merge")
    undone = await db.transact(lambda c: unmerge(c, website_id, merge_id, actor))
    told = Unmerge(
        id=merge_id,
        kind=undone.kind,
        loser_id=undone.loser_id,
        winner_id=undone.winner_id,
        restored=undone.restored,
        kept=undone.kept,
    )
    return answer(request, told)
