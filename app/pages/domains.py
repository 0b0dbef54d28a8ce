"""`/settings/domains`: which e-mail domain belongs to which company (SPEC M9)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app.edits.ties import ignore_domain, release_domain, tie_domain, tie_new_company
from app.errors import NotFound, Refused
from app.pages.access import CurrentActor, member, viewer
from app.pages.frame import database_of, visit
from app.pages.ids import known_id
from app.pages.queries_ties import list_ties
from app.pages.security import require_own_request

router = APIRouter(dependencies=[Depends(viewer)])
CHANGES = [Depends(require_own_request), Depends(member)]

DOMAINS = "/settings/domains"
Typed = Annotated[str, Form(max_length=400)]


@router.get(DOMAINS)
async def domains(request: Request) -> Response:
    return await _show(request)


@router.post(DOMAINS, dependencies=CHANGES)
async def tie_new(
    request: Request, actor: CurrentActor, domain: Typed = "", name: Typed = "", what: Typed = ""
) -> Response:
    """To a company that is made for it, or to nobody."""

    async def work(connection: AsyncConnection, website_id: str) -> Any:
        if what == "ignore":
            return await ignore_domain(connection, website_id, domain, actor)
        return await tie_new_company(connection, website_id, domain, name, actor)

    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    try:
        await database_of(request).transact(lambda connection: work(connection, website_id))
    except Refused as error:
        return await _show(request, error, domain=domain, name=name, what=what)
    return RedirectResponse(frame.url(DOMAINS, done="yes"), 303)


@router.post("/companies/{company_id}/domains", dependencies=CHANGES)
async def tie(
    request: Request, actor: CurrentActor, company_id: str, domain: Typed = ""
) -> Response:
    if not known_id(company_id):
        raise NotFound("There is no such company in this website.")
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    await database_of(request).transact(
        lambda connection: tie_domain(connection, website_id, domain, company_id, actor)
    )
    return RedirectResponse(frame.url(f"/companies/{company_id}"), 303)


@router.post(f"{DOMAINS}/release", dependencies=CHANGES)
async def release(
    request: Request, actor: CurrentActor, domain: Typed = "", company_id: Typed = ""
) -> Response:
    """`company_id`: whose page it was asked on."""
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    await database_of(request).transact(
        lambda connection: release_domain(connection, website_id, domain, actor)
    )
    back = f"/companies/{company_id}" if known_id(company_id) else DOMAINS
    return RedirectResponse(frame.url(back), 303)


async def _show(request: Request, trouble: Refused | None = None, **typed: str) -> Response:
    async with visit(request) as page:
        ties = await list_ties(page.connection, page.website_id)
    return page.show(
        "domains.html",
        trouble.http_status if trouble else 200,
        ties=ties,
        typed={"domain": "", "name": "", "what": ""} | typed,
        trouble=trouble.message if trouble else "",
        good="Done." if request.query_params.get("done") else "",
    )
