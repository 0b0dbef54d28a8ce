"""Erasing a person for good, and handing out all that is kept of one (SPEC P6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import Field

from app.api.answers import answer
from app.api.caller import Caller, Db, admin
from app.api.finding import website_with
from app.api.given import Given
from app.api.problems import errors
from app.contacts.tables import contacts
from app.privacy.erase import erase_contact
from app.privacy.hand_out import as_json, hand_out
from app.published.shapes import Shape

router = APIRouter(prefix="/contacts", tags=["contacts"], dependencies=[Depends(admin)])


class Erase(Given):
    confirm: Literal["erase"] = Field(examples=["erase"])


class Erased(Shape):
    contacts: int
    conversations: int
    messages: int
    shared_addresses: int = Field(description="Addresses that stay: another contact has them too.")


@router.post(
    "/{contact_id}/erase", operation_id="eraseContact", response_model=Erased,
    responses=errors(404, 409),
)  # fmt: skip
async def erase(
    request: Request, db: Db, actor: Caller, contact_id: str, _wanted: Annotated[Erase, Body()]
) -> Response:
    """With its conversations and all that names it. Nothing brings it back."""
    async with db.read() as connection:
        await website_with(connection, actor, contacts, contact_id, "contact")
    done = await erase_contact(db, actor, contact_id)
    counts = {name: getattr(done, name) for name in Erased.model_fields}
    return answer(request, Erased(**counts))


_EVERYTHING: Mapping[str, Any] = {
    "schema": {"type": "object", "description": "By table, the rows about this person."},
    "example": {
        "website_id": "8c842203-7ed8-4e29-a608-7cf78a7d2fcc",
        "contacts": [{"name": "Ann Example"}],
        "conversations": [{"subject": "Refund for order 4471", "messages": []}],
    },
}


@router.get(
    "/{contact_id}/everything", operation_id="getEverything", response_class=Response,
    responses=errors(404) | {200: {"content": {"application/json": _EVERYTHING}}},
)  # fmt: skip
async def everything(db: Db, actor: Caller, contact_id: str) -> Response:
    """All that is kept of this person, as it is handed out to whoever asks for their own data."""
    async with db.read() as connection:
        await website_with(connection, actor, contacts, contact_id, "contact")
    told = await hand_out(db, actor, contact_id)
    headers = {"Cache-Control": "private, no-store"}
    return Response(as_json(told), media_type="application/json", headers=headers)
