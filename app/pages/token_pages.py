"""`/settings/tokens`: tokens of the JSON API (SPEC P4)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts import tokens
from app.errors import CrispsyncError, NotFound, Refused
from app.pages.access import CurrentActor, admin
from app.pages.frame import Visit, database_of, look_in
from app.pages.ids import known_id
from app.pages.listing import read_day
from app.pages.security import require_own_request

router = APIRouter(dependencies=[Depends(admin)])
changes = APIRouter(dependencies=[Depends(require_own_request), Depends(admin)])

Typed = Annotated[str, Form()]
Many = Annotated[list[str], Form(default_factory=list)]
TOKENS = "/settings/tokens"
USUAL = timedelta(days=365)
_SCOPES: dict[str, tokens.Scope] = {"read": "read", "write": "write", "admin": "admin"}


@router.get(TOKENS)
async def token_list(request: Request) -> Response:
    async with look_in(request) as page:
        return await _show(page)


@changes.post(TOKENS)
async def create(
    request: Request,
    actor: CurrentActor,
    websites: Many,
    name: Typed = "",
    scope: Typed = "read",
    every: Typed = "",
    until: Typed = "",
) -> Response:
    async with look_in(request) as page:
        moments, here = page.frame.moments, {website.id for website in page.frame.websites}

    async def work(connection: AsyncConnection) -> str:
        if not here.issuperset(websites):
            raise Refused("One of these websites is not here any more; load the page again.")
        return await tokens.create_token(
            connection,
            actor,
            name,
            _SCOPES.get(scope, "read"),
            None if every else websites,
            _end_of(until, moments),
        )

    typed = {"name": name[:200], "scope": scope, "every": bool(every), "until": until[:20],
             "websites": set(websites)}  # fmt: skip
    try:
        token = await database_of(request).transact(work)
    except CrispsyncError as error:
        async with look_in(request) as page:
            return await _show(page, typed, error)
    async with look_in(request) as page:
        return await _show(page, made=token)


def _end_of(until: str, moments: Any) -> datetime | None:
    """The end of that day; None for no day at all. Raises Refused."""
    if not until.strip():
        return None
    day = read_day(until.strip())
    if day is None:
        raise Refused("A day is written like 2027-01-31.")
    end: datetime = moments.start_of(day + timedelta(days=1))
    return end


@changes.post(TOKENS + "/{token_id}/revoke")
async def revoke(request: Request, actor: CurrentActor, token_id: str) -> Response:
    if not known_id(token_id):
        raise NotFound("There is no such token.")

    async def work(connection: AsyncConnection) -> None:
        await tokens.revoke_token(connection, actor, token_id)

    await database_of(request).transact(work)
    return RedirectResponse(TOKENS, 303)


async def _show(
    page: Visit,
    typed: dict[str, Any] | None = None,
    trouble: CrispsyncError | None = None,
    made: str = "",
) -> Response:
    now = clock.now()
    usual = {"name": "", "scope": "read", "every": False, "until": (now + USUAL).date().isoformat(),
             "websites": set()}  # fmt: skip
    return page.show(
        "tokens.html",
        trouble.http_status if trouble else 200,
        tokens=await tokens.list_tokens(page.connection),
        granted=await tokens.websites_of_tokens(page.connection),
        names={website.id: website.name for website in page.frame.websites},
        typed=typed or usual,
        trouble=trouble.message if trouble else "",
        made=made,
        now=now,
    )
