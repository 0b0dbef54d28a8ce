"""`/contacts/new` and `/contacts/{id}/edit`: a contact made and changed by hand (SPEC M8, D7)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.edits.companies import require_live
from app.edits.contact_form import ATTRIBUTE, LABELS, Subject, Ways, custom_keys, texts_of
from app.edits.contact_rows import follows, load_subject, nobody, ways_of
from app.edits.contacts import edit_contact, make_contact
from app.edits.team import team_of
from app.errors import NotFound, Refused
from app.pages.access import CurrentActor, member
from app.pages.edit_form import Fields, Trouble, Typed, owner_choices, trouble_of, typed_in
from app.pages.frame import Visit, database_of, visit
from app.pages.ids import known_id
from app.pages.security import require_own_request
from app.pages.wording import attribute_name, contact_name

router = APIRouter(dependencies=[Depends(member)])
CHANGES = [Depends(require_own_request)]

PROFILE = ("job_title", "role", "country", "region", "city", "time_zone", "locales", "avatar",
           "signed_up_at", "last_active_at")  # fmt: skip
Told = Annotated[str, Query(max_length=320)]


@router.get("/contacts/new")
async def new_form(
    request: Request, email: Told = "", name: Told = "", phone: Told = "", company: Told = ""
) -> Response:
    """Prefilled with what a conversation tells of whoever wrote it."""
    texts = {"emails": email, "name": name, "phone": phone}
    typed = Typed({key: text for key, text in texts.items() if text}, joins=company)
    async with visit(request) as page:
        return await _show(page, None, typed, Trouble())


@router.post("/contacts/new", dependencies=CHANGES)
async def make(request: Request, actor: CurrentActor) -> Response:
    typed = typed_in(await request.form())
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    try:
        made = await database_of(request).transact(
            lambda connection: make_contact(
                connection, website_id, typed.told, actor, typed.joinings
            )
        )
    except Refused as refused:
        async with visit(request) as page:
            return await _show(page, None, typed, trouble_of(refused))
    return RedirectResponse(frame.url(f"/contacts/{made}", saved="made"), status_code=303)


@router.get("/contacts/{row_id}/edit")
async def edit_form(request: Request, row_id: str) -> Response:
    async with visit(request) as page:
        subject = await _subject(page, row_id)
        require_live(subject.row, "contact")
        return await _show(page, subject, Typed(), Trouble())


@router.post("/contacts/{row_id}/edit", dependencies=CHANGES)
async def edit(request: Request, actor: CurrentActor, row_id: str) -> Response:
    typed = typed_in(await request.form())
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
        await _subject(page, row_id)
    try:
        await database_of(request).transact(
            lambda connection: edit_contact(
                connection, website_id, row_id, typed.changes, actor, typed.joinings, typed.follow
            )
        )
    except NotFound:
        raise
    except Refused as refused:
        async with visit(request) as page:
            subject = await _subject(page, row_id)
            require_live(subject.row, "contact")
            return await _show(page, subject, typed, trouble_of(refused))
    return RedirectResponse(frame.url(f"/contacts/{row_id}", saved="yes"), status_code=303)


async def _subject(page: Visit, row_id: str) -> Subject:
    if not known_id(row_id):
        raise NotFound("There is no such contact in this website.")
    return await load_subject(page.connection, page.website_id, row_id)


async def _show(page: Visit, subject: Subject | None, typed: Typed, trouble: Trouble) -> Response:
    ways = await ways_of(page.connection, page.website_id)
    team = await team_of(page.connection, page.website_id)
    there = subject or nobody("")
    make_field = Fields(texts_of(there, ways), typed, trouble, follows(there))
    owner_name = there.row.owner_name if subject is not None else None
    owners = owner_choices(team, there.row.owner_id, owner_name)
    row = there.row
    return page.show(
        "contact_form.html",
        trouble.status,
        row=row if subject is not None else None,
        name=contact_name(row.name, row.email, row.phone) if subject is not None else "",
        main=[make_field(name, LABELS[name]) for name in ("name", "emails", "phone")],
        owner=make_field("owner", LABELS["owner"], owners),
        segments=make_field("segments", LABELS["segments"]),
        profile=[make_field(name, LABELS[name]) for name in PROFILE],
        custom=_custom(make_field, there, ways),
        memberships=_memberships(make_field, there),
        main_company=make_field("main_company", LABELS["main_company"], _open_companies(there)),
        merged=sorted(there.merged),
        typed=typed,
        trouble=trouble,
        team=team,
    )


def _custom(make_field: Fields, subject: Subject, ways: Ways) -> list[Any]:
    found = []
    for key in custom_keys(subject.row.attributes, ways):
        known = ways.defined.get(key)
        choices: list[tuple[str, str]] = []
        if known is not None and known.type == "choice":
            choices = [("", "–"), *((choice, choice) for choice in known.choices)]
        elif known is not None and known.type == "yes_no":
            choices = [("", "–"), ("yes", "yes"), ("no", "no")]
        found.append(make_field(f"{ATTRIBUTE}{key}", attribute_name(key), choices))
    return found


def _open_companies(subject: Subject) -> list[tuple[str, str]]:
    return [(one.company_id, one.name) for one in subject.memberships if one.until is None]


def _memberships(make_field: Fields, subject: Subject) -> list[dict[str, Any]]:
    return [
        {
            "company_id": link.company_id,
            "name": link.name,
            "source": link.source,
            "ended": link.until is not None,
            "since": make_field(f"membership.{link.id}.since", "From"),
            "until": make_field(f"membership.{link.id}.until", "Until"),
            "gone": make_field(f"membership.{link.id}.gone", "Never belonged to it"),
        }
        for link in subject.memberships
    ]
