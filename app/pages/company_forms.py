"""`/companies/new` and `/companies/{id}/edit`: a company made and changed by hand (SPEC D6, V2)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.edits.companies import (
    ATTRIBUTE,
    LABELS,
    Company,
    edit_company,
    follows,
    load_company,
    make_company,
    require_live,
    texts_of,
)
from app.edits.team import team_of
from app.errors import NotFound, Refused
from app.pages.access import CurrentActor, member
from app.pages.edit_form import Fields, Trouble, Typed, owner_choices, trouble_of, typed_in
from app.pages.frame import Visit, database_of, visit
from app.pages.ids import known_id
from app.pages.security import require_own_request
from app.pages.wording import attribute_name

router = APIRouter(dependencies=[Depends(member)])
CHANGES = [Depends(require_own_request)]
MAIN = ("name", "domain", "attributes.description", "names", "domains")
Told = Annotated[str, Query(max_length=300)]


@router.get("/companies/new")
async def new_form(request: Request, name: Told = "", domain: Told = "") -> Response:
    texts = {"name": name, "domain": domain}
    typed = Typed({key: text for key, text in texts.items() if text})
    async with visit(request) as page:
        return await _show(page, None, typed, Trouble())


@router.post("/companies/new", dependencies=CHANGES)
async def make(request: Request, actor: CurrentActor) -> Response:
    typed = typed_in(await request.form())
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    try:
        made = await database_of(request).transact(
            lambda connection: make_company(connection, website_id, typed.told, actor)
        )
    except Refused as refused:
        async with visit(request) as page:
            return await _show(page, None, typed, trouble_of(refused))
    return RedirectResponse(frame.url(f"/companies/{made}", saved="made"), status_code=303)


@router.get("/companies/{row_id}/edit")
async def edit_form(request: Request, row_id: str) -> Response:
    async with visit(request) as page:
        company = await _company(page, row_id)
        require_live(company.row, "company")
        return await _show(page, company, Typed(), Trouble())


@router.post("/companies/{row_id}/edit", dependencies=CHANGES)
async def edit(request: Request, actor: CurrentActor, row_id: str) -> Response:
    typed = typed_in(await request.form())
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
        await _company(page, row_id)
    try:
        await database_of(request).transact(
            lambda connection: edit_company(
                connection, website_id, row_id, typed.changes, actor, typed.follow
            )
        )
    except NotFound:
        raise
    except Refused as refused:
        async with visit(request) as page:
            company = await _company(page, row_id)
            require_live(company.row, "company")
            return await _show(page, company, typed, trouble_of(refused))
    return RedirectResponse(frame.url(f"/companies/{row_id}", saved="yes"), status_code=303)


async def _company(page: Visit, row_id: str) -> Company:
    if not known_id(row_id):
        raise NotFound("There is no such company in this website.")
    return await load_company(page.connection, page.website_id, row_id)


async def _show(page: Visit, company: Company | None, typed: Typed, trouble: Trouble) -> Response:
    team = await team_of(page.connection, page.website_id)
    stored = texts_of(company) if company is not None else {}
    make_field = Fields(stored, typed, trouble, follows(company) if company is not None else {})
    row = company.row if company is not None else None
    owners = owner_choices(team, row.owner_id if row else None, row.owner_name if row else None)
    keys = sorted(f for f in stored if f.startswith(ATTRIBUTE) and f not in MAIN)
    return page.show(
        "company_form.html",
        trouble.status,
        row=row,
        main=[make_field(name, LABELS[name]) for name in MAIN],
        owner=make_field("owner", LABELS["owner"], owners),
        custom=[make_field(f, attribute_name(f.removeprefix(ATTRIBUTE))) for f in keys],
        merged=[value for _, value in company.merged] if company is not None else [],
        typed=typed,
        trouble=trouble,
        team=team,
    )
