"""Making, changing, deleting and restoring contacts, as a person does it on the pages (SPEC M8, D7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import IfMatch, answer, require_match
from app.api.caller import Asked, Caller, Db, chosen, member
from app.api.contact_fields import ContactChange, ContactFields, Segments
from app.api.finding import website_with
from app.api.given import ID, Given
from app.api.problems import errors
from app.contacts.tables import contacts
from app.db.session import Database
from app.edits.contact_form import ATTRIBUTE, PROFILE_FIELDS
from app.edits.contact_rows import follows, load_subject
from app.edits.contacts import edit_contact, make_contact
from app.edits.hiding import hide, show
from app.published.loading import load_contacts
from app.published.shapes import Contact, Shape
from app.websites.rules import lock_website

router = APIRouter(prefix="/contacts", tags=["contacts"])
Work: TypeAlias = Callable[[AsyncConnection, str, Contact], Awaitable[Any]]


@router.post(
    "", operation_id="createContact", status_code=201, response_model=Contact,
    responses=errors(404, 409), dependencies=[Depends(member)],
)  # fmt: skip
async def create(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[ContactFields, Body()],
    website: Asked = None,
) -> Response:
    """It needs a name, an address or a phone number. Conversations that wait for one of its addresses
    are its own at once. 409: another contact has one of the addresses.
    """

    async def work(connection: AsyncConnection) -> Contact:
        website_id = await chosen(connection, actor, website)
        made = await make_contact(connection, website_id, wanted.texts(), actor, wanted.joinings())
        return (await load_contacts(connection, website_id, [made]))[made]

    made = await db.transact(work)
    return answer(request, made, 201, {"Location": f"/api/v1/contacts/{made.id}"})


async def changed(
    db: Database, actor: Actor, contact_id: str, seen: str | None, work: Work
) -> Contact:
    """The contact after `work`, in one transaction, in which nobody else changes it."""

    async def whole(connection: AsyncConnection) -> Contact:
        website_id = await website_with(connection, actor, contacts, contact_id, "contact")
        await lock_website(connection, website_id)
        now = (await load_contacts(connection, website_id, [contact_id]))[contact_id]
        require_match(seen, now)
        await work(connection, website_id, now)
        return (await load_contacts(connection, website_id, [contact_id]))[contact_id]

    return await db.transact(whole)


@router.patch(
    "/{contact_id}", operation_id="changeContact", response_model=Contact,
    responses=errors(404, 409, 412), dependencies=[Depends(member)],
)  # fmt: skip
async def change(
    request: Request,
    db: Db,
    actor: Caller,
    contact_id: str,
    wanted: Annotated[ContactChange, Body()],
    if_match: IfMatch = None,
) -> Response:
    """Only what is given changes. What is written here stays until Crisp itself changes it."""

    async def work(connection: AsyncConnection, website_id: str, now: Contact) -> None:
        changes, joins = wanted.changes(now), wanted.joinings()
        follow = wanted.following()
        await edit_contact(connection, website_id, contact_id, changes, actor, joins, follow)

    return answer(request, await changed(db, actor, contact_id, if_match, work))


@router.post(
    "/{contact_id}/segments", operation_id="changeSegmentsOfContact", response_model=Contact,
    responses=errors(404, 409, 412), dependencies=[Depends(member)],
)  # fmt: skip
async def change_segments(
    request: Request,
    db: Db,
    actor: Caller,
    contact_id: str,
    wanted: Annotated[Segments, Body()],
    if_match: IfMatch = None,
) -> Response:
    """Add some and remove some, whatever others do to the rest meanwhile."""

    async def work(connection: AsyncConnection, website_id: str, now: Contact) -> None:
        await edit_contact(connection, website_id, contact_id, wanted.after(now), actor)

    return answer(request, await changed(db, actor, contact_id, if_match, work))


@router.delete(
    "/{contact_id}", operation_id="deleteContact", response_model=Contact,
    responses=errors(404, 412), dependencies=[Depends(member)],
)  # fmt: skip
async def delete(
    request: Request, db: Db, actor: Caller, contact_id: str, if_match: IfMatch = None
) -> Response:
    """It is hidden, its conversations are nobody's, and no sync brings it back. It can be restored."""

    async def work(connection: AsyncConnection, website_id: str, _now: Contact) -> None:
        await hide(connection, website_id, "contact", [contact_id], actor)

    return answer(request, await changed(db, actor, contact_id, if_match, work))


@router.post(
    "/{contact_id}/restore", operation_id="restoreContact", response_model=Contact,
    responses=errors(404, 412), dependencies=[Depends(member)],
)  # fmt: skip
async def restore(
    request: Request, db: Db, actor: Caller, contact_id: str, if_match: IfMatch = None
) -> Response:
    """With its conversations. 422 where Crisp removed it, or where it was merged into another."""

    async def work(connection: AsyncConnection, website_id: str, _now: Contact) -> None:
        await show(connection, website_id, "contact", contact_id, actor)

    return answer(request, await changed(db, actor, contact_id, if_match, work))


class Many(Given):
    ids: list[Annotated[str, Field(pattern=ID)]] = Field(
        min_length=1, max_length=500, examples=[["7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"]]
    )


class Deleted(Shape):
    deleted: int = Field(description="Those that were there to see until now.")


@router.post(
    "/delete", operation_id="deleteContacts", response_model=Deleted, responses=errors(404),
    dependencies=[Depends(member)],
)  # fmt: skip
async def delete_many(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[Many, Body()],
    website: Asked = None,
) -> Response:
    """Up to 500 at once: all of them, or, where one is not there, none."""

    async def work(connection: AsyncConnection) -> int:
        website_id = await chosen(connection, actor, website)
        return await hide(connection, website_id, "contact", wanted.ids, actor)

    return answer(request, Deleted(deleted=await db.transact(work)))


class Overridden(Shape):
    """A field that somebody else than Crisp wrote, and what Crisp says of it."""

    field: str = Field(examples=["attributes.job_title"])
    crisp: Any = Field(examples=["Buyer"])


class OverriddenFields(Shape):
    data: list[Overridden]


@router.get(
    "/{contact_id}/overridden", operation_id="listOverriddenFields",
    response_model=OverriddenFields, responses=errors(404),
)  # fmt: skip
async def list_overridden(request: Request, db: Db, actor: Caller, contact_id: str) -> Response:
    """Where this contact differs from Crisp; PATCH with `follow_crisp` takes Crisp's word again."""
    async with db.read() as connection:
        website_id = await website_with(connection, actor, contacts, contact_id, "contact")
        found = follows(await load_subject(connection, website_id, contact_id))
    data = [
        Overridden(field=f"{ATTRIBUTE}{name}" if name in PROFILE_FIELDS else name, crisp=told)
        for name, told in sorted(found.items())
    ]
    return answer(request, OverriddenFields(data=data))
