"""`/welcome`: where an invitation or reset link sets a password, once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import links
from app.accounts.login import LoggedIn, admit
from app.accounts.passwords import hash_password, weakness
from app.errors import CrispsyncError, NotFound, Refused
from app.pages.cookies import keep_browser, keep_session, read_cookie
from app.pages.doors import WELCOME
from app.pages.frame import Frame, database_of
from app.pages.rendering import render
from app.pages.security import require_own_origin

router = APIRouter()

Typed = Annotated[str, Form()]
_SPENT = "This link was used already, was replaced by a newer one, or has expired. Ask an admin for another."


@router.get(WELCOME)
async def welcome(request: Request) -> Response:
    return await _form(request, request.query_params.get("link", ""))


@router.post(WELCOME, dependencies=[Depends(require_own_origin)])
async def set_password(
    request: Request, link: Typed = "", new: Typed = "", again: Typed = ""
) -> Response:
    """The password is set, the link is spent, and whoever had it is logged in: it never meets the limits."""
    db = database_of(request)
    async with db.read() as connection:
        user = await links.user_of_link(connection, link)
    if user is None:
        return await _form(request, link)
    if reason := weakness(new, user.email):
        return await _form(request, link, Refused(reason))
    if new != again:
        return await _form(request, link, Refused("It was not written the same way twice."))
    hashed = await hash_password(new)
    browser = read_cookie(request, "browser") or None

    async def work(connection: AsyncConnection) -> LoggedIn:
        user = await links.use_link(connection, link, hashed)
        if user is None:
            raise NotFound(_SPENT)
        return await admit(connection, user, browser)

    entered = await db.transact(work)
    answer = RedirectResponse("/", 303)
    keep_session(request, answer, entered.session, "login")
    keep_browser(request, answer, entered.browser)
    return answer


async def _form(request: Request, link: str, trouble: CrispsyncError | None = None) -> Response:
    async with database_of(request).read() as connection:
        user = await links.user_of_link(connection, link)
    status = 404 if user is None else (trouble.http_status if trouble else 200)
    sentence = _SPENT if user is None else (trouble.message if trouble else "")
    return render("welcome.html", Frame(WELCOME), status, user=user, link=link, trouble=sentence)
