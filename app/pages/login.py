"""`/login` and `/logout` (SPEC P4)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.limits import TooManyTries
from app.accounts.login import WrongLogin, log_in, log_out
from app.accounts.passwords import TooBusy
from app.accounts.users import count_users
from app.errors import CrispsyncError
from app.pages.access import viewer
from app.pages.cookies import forget_session, keep_browser, keep_session, read_cookie
from app.pages.doors import LOGIN, safe_next
from app.pages.frame import Frame, database_of
from app.pages.rendering import render
from app.pages.security import require_own_origin, require_own_request, session_of

router = APIRouter()

Typed = Annotated[str, Form()]


@router.get(LOGIN)
async def login_page(request: Request) -> Response:
    wanted = safe_next(request.query_params.get("next", "/"))
    if session_of(request) is not None:
        return RedirectResponse(wanted, 303)
    ended = "You were logged out, so nothing was done." if "ended" in request.query_params else ""
    return await _form(request, wanted, trouble=ended)


@router.post(LOGIN, dependencies=[Depends(require_own_origin)])
async def login(
    request: Request,
    email: Typed = "",
    password: Typed = "",
    wanted: Annotated[str, Form(alias="next")] = "/",
) -> Response:
    browser = read_cookie(request, "browser") or None
    address = request.client.host if request.client else ""
    try:
        entered = await log_in(database_of(request), email, password, address, browser)
    except (WrongLogin, TooManyTries, TooBusy) as error:
        return await _form(request, safe_next(wanted), email=email[:300], trouble=error)
    # A new id, whatever cookie came with the request (FAILURES case 95).
    answer = RedirectResponse(safe_next(wanted), 303)
    keep_session(request, answer, entered.session, "login")
    keep_browser(request, answer, entered.browser)
    return answer


async def _form(
    request: Request, wanted: str, *, email: str = "", trouble: str | CrispsyncError = ""
) -> Response:
    async with database_of(request).read() as connection:
        nobody = not await count_users(connection)
    status = trouble.http_status if isinstance(trouble, CrispsyncError) else 200
    sentence = trouble.message if isinstance(trouble, CrispsyncError) else trouble
    return render(
        "login.html", Frame(LOGIN), status,
        wanted=wanted, email=email, trouble=sentence, nobody=nobody,
    )  # fmt: skip


@router.post("/logout", dependencies=[Depends(require_own_request), Depends(viewer)])
async def logout(request: Request) -> Response:
    answer = RedirectResponse(LOGIN, 303)
    session = session_of(request)
    if session is not None:
        await log_out(database_of(request), session)
        forget_session(request, answer, session)
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer
