"""Erasing a person from the contact's page: first what will go, then, by a POST, for good (SPEC P6)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.errors import NotFound, Refused
from app.pages import queries_contacts as queries
from app.pages.access import CurrentActor, admin
from app.pages.frame import Visit, database_of, visit
from app.pages.ids import known_id
from app.pages.security import require_own_request
from app.pages.wording import contact_name
from app.privacy.erase import erase_contact
from app.privacy.hand_out import as_json, hand_out
from app.privacy.person import count_messages, find_person

router = APIRouter(dependencies=[Depends(admin)])

WORD = "erase"


@router.get("/contacts/{contact_id}/erase")
async def confirm(request: Request, contact_id: str) -> Response:
    async with visit(request) as page:
        row = await _require(page, contact_id)
        person = await find_person(page.connection, row.id)
        messages = await count_messages(page.connection, person)
    return page.show(
        "erase.html",
        row=row,
        name=contact_name(row.name, row.email, row.phone),
        person=person,
        messages=messages,
        word=WORD,
    )


@router.post("/contacts/{contact_id}/erase", dependencies=[Depends(require_own_request)])
async def erase(
    request: Request, actor: CurrentActor, contact_id: str, typed: Annotated[str, Form()] = ""
) -> Response:
    async with visit(request) as page:
        frame = page.frame
        row = await _require(page, contact_id)
    if typed.strip().lower() != WORD:
        raise Refused(f"Type {WORD} to confirm; nothing was erased.")
    await erase_contact(database_of(request), actor, row.id)
    return RedirectResponse(frame.url("/contacts", erased="yes"), status_code=303)


@router.get("/contacts/{contact_id}/everything.json")
async def everything(request: Request, actor: CurrentActor, contact_id: str) -> Response:
    async with visit(request) as page:
        row = await _require(page, contact_id)
    told = await hand_out(database_of(request), actor, row.id)
    headers = {"Content-Disposition": f'attachment; filename="person-{row.id}.json"'}
    return Response(as_json(told), media_type="application/json", headers=headers)


async def _require(page: Visit, contact_id: str) -> Any:
    row = None
    if known_id(contact_id):
        row = await queries.get_contact(page.connection, page.website_id, contact_id)
    if row is None:
        raise NotFound("There is no such contact in this website.")
    return row
