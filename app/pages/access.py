"""Who asks for a page, which role a route needs, and what a form must carry.

    router = APIRouter(dependencies=[Depends(viewer)])                    # pages that only show
    router = APIRouter(dependencies=[Depends(require_own_request), Depends(member)])   # changes

    async def rename(actor: CurrentActor, …) -> Response: ...

Every route names its role with `viewer`, `member` or `admin`, or stands in OPEN (app/pages/doors.py);
tests/pages/test_every_route.py fails for one that does neither. Who is not logged in never reaches
a route: the middleware of doors.py sends it to /login. `visit()` shows granted websites only; what
takes a website from elsewhere asks `actor.sees(website_id)` and answers NotFound.

Forms: `{{ ui.csrf() }}` inside each `<form method="post">`; `require_own_request` compares it. A
request without a form sends it as the header X-Form-Token. An upload that reads its body itself
takes `require_own_origin` instead, and calls `require_form_token(request, token)` with the token
from the first part of the body.

Crisp's frame: what `open_frame_session(connection, website_id)` returns goes into the cookie with
`keep_session(request, response, token, "frame")`. On paths below /plugin/ (and nowhere else)
`actor_of` is then a frame actor: role admin, for that website only, named in `actor.website_ids`.
Login sessions do not count there. `GET /plugin/settings` itself is open: it does the exchange.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.accounts.actors import Actor, Role
from app.errors import CrispsyncError
from app.pages.security import session_of


class LoginNeeded(CrispsyncError):
    """Whoever asks is not logged in, or not any more."""

    http_status = 401


def actor_of(request: Request) -> Actor:
    """Who asks. Raises LoginNeeded."""
    session = session_of(request)
    if session is None:
        raise LoginNeeded("Log in first.")
    return session.actor


CurrentActor = Annotated[Actor, Depends(actor_of)]


def viewer(actor: CurrentActor) -> None:
    actor.require(Role.VIEWER)


def member(actor: CurrentActor) -> None:
    actor.require(Role.MEMBER)


def admin(actor: CurrentActor) -> None:
    actor.require(Role.ADMIN)
