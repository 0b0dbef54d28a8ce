"""`/settings/team`: who may log in, as what, and which websites they see (SPEC P4)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import team
from app.errors import CrispsyncError, NotFound, Refused
from app.pages.access import CurrentActor, admin
from app.pages.frame import Visit, database_of, look_in
from app.pages.ids import known_id
from app.pages.security import public_url_of, require_own_request

router = APIRouter(dependencies=[Depends(admin)])
changes = APIRouter(dependencies=[Depends(require_own_request), Depends(admin)])

Typed = Annotated[str, Form()]
Many = Annotated[list[str], Form(default_factory=list)]
TEAM = "/settings/team"


@router.get(TEAM)
async def people(request: Request) -> Response:
    async with look_in(request) as page:
        return await _team(page)


@changes.post(TEAM)
async def invite(
    request: Request,
    actor: CurrentActor,
    websites: Many,
    email: Typed = "",
    name: Typed = "",
    role: Typed = "viewer",
) -> Response:
    async def work(connection: AsyncConnection) -> tuple[str, str]:
        here = await _websites_here(request, websites)
        return await team.invite(connection, actor, email, name, team.role_named(role), here)

    typed = {"email": email[:300], "name": name[:300], "role": role, "websites": set(websites)}
    try:
        user_id, link = await database_of(request).transact(work)
    except CrispsyncError as error:
        async with look_in(request) as page:
            return await _team(page, typed, error)
    return await _person(request, user_id, link=link)


async def _team(
    page: Visit, typed: dict[str, Any] | None = None, trouble: CrispsyncError | None = None
) -> Response:
    return page.show(
        "team.html",
        trouble.http_status if trouble else 200,
        people=await team.list_users(page.connection),
        granted=await team.websites_of_users(page.connection),
        names={website.id: website.name for website in page.frame.websites},
        typed=typed or {"email": "", "name": "", "role": "viewer", "websites": set()},
        trouble=trouble.message if trouble else "",
    )


@router.get(TEAM + "/{user_id}")
async def person(request: Request, user_id: str) -> Response:
    return await _person(request, _known(user_id))


@changes.post(TEAM + "/{user_id}/{what}")
async def change(
    request: Request,
    actor: CurrentActor,
    user_id: str,
    what: str,
    websites: Many,
    role: Typed = "",
) -> Response:
    _known(user_id)

    async def work(connection: AsyncConnection) -> str:
        await team.require_user(connection, user_id)
        if what == "link":
            return await team.reset_link(connection, actor, user_id)
        if what == "role":
            await team.change_role(connection, actor, user_id, team.role_named(role))
        elif what == "websites":
            here = await _websites_here(request, websites)
            await team.grant(connection, actor, user_id, here)
        elif what in _PLAIN:
            await _PLAIN[what](connection, actor, user_id)
        else:
            raise NotFound("There is nothing like that to do with an account.")
        return ""

    try:
        link = await database_of(request).transact(work)
    except NotFound:
        raise
    except CrispsyncError as error:
        return await _person(request, user_id, trouble=error)
    if link:
        return await _person(request, user_id, link=link)
    return RedirectResponse(TEAM if what == "remove" else f"{TEAM}/{user_id}", 303)


_PLAIN = {"disable": team.disable, "enable": team.enable, "remove": team.remove}


def _known(user_id: str) -> str:
    if not known_id(user_id):
        raise NotFound("There is nobody of that id in the team.")
    return user_id


async def _websites_here(request: Request, chosen: list[str]) -> list[str]:
    """Raises Refused for one that is not here (any more)."""
    async with look_in(request) as page:
        here = {website.id for website in page.frame.websites}
    if not here.issuperset(chosen):
        raise Refused("One of these websites is not here any more; load the page again.")
    return chosen


async def _person(
    request: Request, user_id: str, *, link: str = "", trouble: CrispsyncError | None = None
) -> Response:
    base = (public_url_of(request.app) or str(request.base_url)).rstrip("/")
    async with look_in(request) as page:
        user = await team.require_user(page.connection, user_id)
        granted = await team.websites_of_users(page.connection)
        return page.show(
            "person.html",
            trouble.http_status if trouble else 200,
            user=user,
            granted=granted.get(user_id, frozenset()),
            link=f"{base}/welcome?link={link}" if link else "",
            trouble=trouble.message if trouble else "",
            itself=page.frame.actor is not None and page.frame.actor.id == user_id,
        )
