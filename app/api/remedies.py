"""What mends conversations without a contact: looked at, done, taken back (SPEC V5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import ConfigDict, Field, JsonValue, StrictBool
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen, member
from app.api.finding import website_with
from app.api.given import ID, Given
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.db.keyset import Order
from app.edits.effects import look
from app.edits.remedies import remedy
from app.edits.remedies_undo import take_remedy_back
from app.edits.tables import remedies
from app.edits.unmatched_groups import MOST_DOMAINS, by_domain
from app.edits.wishes import MOST_CHOSEN, NO_ADDRESS, Effect, Wish
from app.published.shapes import Id, Moment, Shape

router = APIRouter(prefix="/unmatched", tags=["unmatched"])
_r = remedies.c
ORDERS: Mapping[str, Order] = {"number": Order(_r.number, _r.id, int, nullable=False)}
_ID = Annotated[str, Field(pattern=ID)]
_GROUP: dict[str, JsonValue] = {
    "kind": "create",
    "reason": "unknown_email",
    "domain": "acme.example",
}


class WishFields(Given):
    """Of a group (`reason` and `domain`), or of chosen conversations (`ids`).

    `create`: a contact for each address; `link`: all to `contact_id`; `tie`: their domains to
    `company_id`, or to a company that is made as `company_name`; `ignore`: their domains are nobody's;
    `leave`: they stay as they are, off the list.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_GROUP]})
    kind: Literal["create", "link", "tie", "ignore", "leave"]
    reason: str | None = Field(None, max_length=100)
    domain: str | None = Field(
        None, max_length=320, description=f"`{NO_ADDRESS}`: those without an address."
    )
    ids: list[_ID] = Field(default_factory=list, max_length=MOST_CHOSEN)
    contact_id: _ID | None = None
    company_id: _ID | None = None
    company_name: str | None = Field(None, min_length=1, max_length=200)

    def wish(self) -> Wish:
        return Wish(
            self.kind,
            reason=_clean(self.reason),
            domain=_clean(self.domain),
            ids=tuple(dict.fromkeys(self.ids)),
            contact_id=self.contact_id,
            company_id=self.company_id,
            company_name=_clean(self.company_name),
        )


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "").strip() or None


class RemedyFields(WishFields):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**_GROUP, "digest": "0f3a…"}]}
    )
    digest: str | None = Field(
        None,
        max_length=100,
        description="Of the preview: 409 where it would do anything else by now. Left out: do it.",
    )


class NewContact(Shape):
    email: str = Field(examples=["ann@acme.example"])
    name: str | None


class KeptOut(Shape):
    what: str = Field(description="An address or a domain.", examples=["info@acme.example"])
    conversations: int
    reason: str = Field(examples=["Several contacts have this address."])


class Preview(Shape):
    """What would be done. `digest` is another one as soon as anything of it is."""

    digest: str = Field(examples=["0f3a9c"])
    conversations: list[Id]
    matched: int = Field(description="How many of them have a contact already.")
    contacts: list[NewContact]
    domains: list[str] = Field(examples=[["acme.example"]])
    kept_out: list[KeptOut]
    more: int = Field(description="Further conversations of the group, for the next time.")


class Remedy(Shape):
    id: Id
    kind: Literal["create", "link", "tie", "ignore", "leave"]
    reason: str | None
    domain: str | None
    contact_id: str | None
    company_id: str | None
    counts: dict[str, int] = Field(examples=[{"conversations": 4, "contacts": 2}])
    done_at: Moment
    done_by: str = Field(examples=["Mira"])
    undone_at: Moment | None
    undone_by: str | None
    kept: list[str] | None = Field(description="What others changed since, and so stayed.")


class RemedyPage(Page):
    data: list[Remedy]


class Group(Shape):
    reason: str = Field(examples=["unknown_email"])
    domain: str | None = Field(description="null: without an address.", examples=["acme.example"])
    conversations: int
    latest: Moment | None


class GroupList(Shape):
    data: list[Group]
    more: bool = Field(description="There are smaller ones, too.")


class Undo(Given):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rest": True}]})
    rest: StrictBool = Field(
        default=False, description="Whatever nobody changed since, where something was."
    )


_SHOWN = [_r[name] for name in Remedy.model_fields]


def _told(effect: Effect) -> Preview:
    return Preview(
        digest=effect.digest,
        conversations=effect.ids,
        matched=effect.matched,
        contacts=[NewContact(email=one.email, name=one.name) for one in effect.new],
        domains=effect.domains,
        kept_out=[
            KeptOut(what=one.what, conversations=one.conversations, reason=one.reason)
            for one in effect.refused
        ],
        more=effect.more,
    )


@router.get(
    "/groups", operation_id="listUnmatchedGroups", response_model=GroupList, responses=errors(404)
)
async def list_groups(request: Request, db: Db, actor: Caller, website: Asked = None) -> Response:
    """By reason and domain, the largest first; without what is settled already."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        rows = await by_domain(connection, website_id)
    data = [
        Group(reason=row.reason, domain=row.domain, conversations=row.n, latest=row.latest)
        for row in rows[:MOST_DOMAINS]
    ]
    return answer(request, GroupList(data=data, more=len(rows) > MOST_DOMAINS))


@router.post(
    "/remedies/preview", operation_id="previewRemedy", response_model=Preview,
    responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def preview(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[WishFields, Body()],
    website: Asked = None,
) -> Response:
    """Nothing is changed."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        return answer(request, _told(await look(connection, website_id, wanted.wish())))


@router.post(
    "/remedies", operation_id="doRemedy", status_code=201, response_model=Remedy,
    responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def do(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[RemedyFields, Body()],
    website: Asked = None,
) -> Response:
    """It can be taken back."""

    async def work(connection: AsyncConnection) -> Remedy:
        website_id = await chosen(connection, actor, website)
        done = await remedy(connection, website_id, wanted.wish(), wanted.digest, actor)
        return await _load(connection, actor, done)

    done = await db.transact(work)
    return answer(request, done, 201, {"Location": f"/api/v1/unmatched/remedies/{done.id}"})


async def _load(connection: AsyncConnection, actor: Actor, remedy_id: str) -> Remedy:
    website_id = await website_with(connection, actor, remedies, remedy_id, "remedy")
    query = select(*_SHOWN).where(_r.website_id == website_id, _r.id == remedy_id)
    return _shape((await connection.execute(query)).one())


def _shape(row: Any) -> Remedy:
    return Remedy(**row._asdict())


@router.get(
    "/remedies", operation_id="listRemedies", response_model=RemedyPage, responses=errors(400, 404)
)
async def list_remedies(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Newest first, also those that were taken back."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = select(*_SHOWN, _r.number).where(_r.website_id == website_id)
        scope = {"w": website_id, "r": 1}
        page, following = await page_of(connection, query, ORDERS, "-number", cursor, limit, scope)
    return answer(request, RemedyPage(data=[_shape(r) for r in page.rows], next_cursor=following))


@router.get(
    "/remedies/{remedy_id}", operation_id="getRemedy", response_model=Remedy, responses=errors(404)
)
async def get_remedy(request: Request, db: Db, actor: Caller, remedy_id: str) -> Response:
    async with db.read() as connection:
        return answer(request, await _load(connection, actor, remedy_id))


@router.post(
    "/remedies/{remedy_id}/undo", operation_id="undoRemedy", response_model=Remedy,
    responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def undo(
    request: Request,
    db: Db,
    actor: Caller,
    remedy_id: str,
    wanted: Annotated[Undo | None, Body()] = None,
) -> Response:
    """409 where others changed something since, with what; `rest` then takes back all else."""

    async def work(connection: AsyncConnection) -> Remedy:
        website_id = await website_with(connection, actor, remedies, remedy_id, "remedy")
        rest = wanted is not None and wanted.rest
        await take_remedy_back(connection, website_id, remedy_id, actor, rest=rest)
        return await _load(connection, actor, remedy_id)

    return answer(request, await db.transact(work))
