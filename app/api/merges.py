from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import Field
from sqlalchemy import select

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen, member
from app.api.finding import website_with
from app.api.given import ID, Given
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.companies.tables import companies
from app.contacts.tables import contacts
from app.db.keyset import Order
from app.edits.merges import merge_companies, merge_contacts, unmerge
from app.matching.tables import merges
from app.published.shapes import Id, Moment, Shape

router = APIRouter(tags=["merges"])
_m = merges.c
_SHOWN = [_m[name] for name in ("id", "kind", "loser_id", "winner_id", "merged_at", "merged_by")]
ORDERS: Mapping[str, Order] = {"merged_at": Order(_m.merged_at, _m.id, datetime, nullable=False)}


class Into(Given):
    into: str = Field(
        pattern=ID,
        description="Its id.",
        examples=["7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"],
    )
    take: list[Annotated[str, Field(max_length=300)]] | None = Field(
        None,
        description="Fields that the other one takes from this one: `name`, `email`, `phone`, "
        "`avatar`, `domain`, `owner`, `attributes.KEY`. Left out: those that it lacks.",
        examples=[["phone", "attributes.job_title"]],
    )


class Merge(Shape):
    id: Id
    kind: Literal["contact", "company"]
    loser_id: Id
    winner_id: Id


class OpenMerge(Merge):
    merged_at: Moment
    merged_by: str = Field(examples=["mira@support.example"])


class MergePage(Page):
    data: list[OpenMerge]


class Unmerge(Merge):
    """`restored`: fields that are again as before; `kept`: changed by others since, so they stay."""

    restored: list[str] = Field(examples=[["name"]])
    kept: list[str] = Field(examples=[["phone"]])


@router.get(
    "/merges", operation_id="listMerges", response_model=MergePage, responses=errors(400, 404)
)
async def list_merges(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    winner: Annotated[str | None, Query(pattern=ID, description="Into which one.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Those that were not taken back, newest first."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = select(*_SHOWN).where(_m.website_id == website_id, _m.undone_at.is_(None))
        query = query.where(_m.winner_id == winner) if winner is not None else query
        scope = {"w": website_id, "m": winner or ""}
        page, following = await page_of(
            connection, query, ORDERS, "-merged_at", cursor, limit, scope
        )
    data = [OpenMerge(**row._asdict()) for row in page.rows]
    return answer(request, MergePage(data=data, next_cursor=following))


@router.post(
    "/contacts/{contact_id}/merge", operation_id="mergeContact", status_code=201,
    response_model=Merge, responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def merge_contact(
    request: Request, db: Db, actor: Caller, contact_id: str, wanted: Annotated[Into, Body()]
) -> Response:
    """Into another contact, which then answers to the addresses and people ids of both."""
    async with db.read() as connection:
        website_id = await website_with(connection, actor, contacts, contact_id, "contact")
    pair = (contact_id, wanted.into)
    merge_id = await db.transact(lambda c: merge_contacts(c, website_id, *pair, wanted.take, actor))
    told = Merge(id=merge_id, kind="contact", loser_id=pair[0], winner_id=pair[1])
    return answer(request, told, 201)


@router.post(
    "/companies/{company_id}/merge", operation_id="mergeCompany", status_code=201,
    response_model=Merge, responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def merge_company(
    request: Request, db: Db, actor: Caller, company_id: str, wanted: Annotated[Into, Body()]
) -> Response:
    """Into another company, which then has the members, names and conversations of both."""
    async with db.read() as connection:
        website_id = await website_with(connection, actor, companies, company_id, "company")
    pair = (company_id, wanted.into)
    merge_id = await db.transact(
        lambda c: merge_companies(c, website_id, *pair, wanted.take, actor)
    )
    told = Merge(id=merge_id, kind="company", loser_id=pair[0], winner_id=pair[1])
    return answer(request, told, 201)


@router.post(
    "/merges/{merge_id}/undo", operation_id="undoMerge", response_model=Unmerge,
    responses=errors(404, 409), dependencies=[Depends(member)],
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
