"""`/settings`: the way to everything that can be set, and one's own account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import links, team
from app.accounts.audit import audit
from app.accounts.passwords import hash_password, password_fits, weakness
from app.accounts.sessions import open_session
from app.errors import CrispsyncError, Refused
from app.pages.access import CurrentActor, viewer
from app.pages.cookies import keep_session
from app.pages.frame import database_of, look_in
from app.pages.security import require_own_request

router = APIRouter(dependencies=[Depends(viewer)])
changes = APIRouter(dependencies=[Depends(require_own_request), Depends(viewer)])

Typed = Annotated[str, Form()]
# Where, what, for whom: `path`, name, one line, role.
SECTIONS = [
    (
        "/settings/website",
        "What is imported",
        "Of this website; attributes and time zone.",
        "admin",
    ),
    (
        "/settings/connection",
        "Connection",
        "Connect, check, pause or disconnect a website.",
        "admin",
    ),
    (
        "/settings/setup",
        "Crisp’s form",
        "What to enter in Crisp's Marketplace, and what was seen working.",
        "admin",
    ),
    (
        "/settings/credential",
        "Credential",
        "The plugin's token and the secret of its hooks.",
        "admin",
    ),
    (
        "/settings/domains",
        "E-mail domains",
        "Which domain belongs to which company, and which are nobody's.",
        "viewer",
    ),
    ("/settings/profile", "Your account", "Your name and your password.", "viewer"),
    ("/settings/team", "Team", "Who may log in, their roles, and the websites they see.", "admin"),
    ("/settings/tokens", "API tokens", "For programs that use the JSON API.", "admin"),
    ("/settings/alerts", "Alerts", "Who is told when something is wrong, and what is.", "admin"),
    ("/settings/audit", "Audit log", "Who changed what, and when.", "admin"),
]


@router.get("/settings")
async def settings(request: Request) -> Response:
    async with look_in(request) as page:
        return page.show("settings.html", sections=SECTIONS)


@router.get("/settings/profile")
async def profile(request: Request) -> Response:
    saved = request.query_params.get("saved", "")
    words = {
        "name": "Your name is changed.",
        "password": "Your password is changed; other logins ended.",
    }
    return await _profile(request, good=words.get(saved, ""))


@changes.post("/settings/profile")
async def rename(request: Request, actor: CurrentActor, name: Typed = "") -> Response:
    async def work(connection: AsyncConnection) -> None:
        await team.rename(connection, actor, name)

    try:
        await database_of(request).transact(work)
    except Refused as error:
        return await _profile(request, trouble=error)
    return RedirectResponse("/settings/profile?saved=name", 303)


@changes.post("/settings/password")
async def change_password(
    request: Request, actor: CurrentActor, old: Typed = "", new: Typed = "", again: Typed = ""
) -> Response:
    db = database_of(request)
    async with db.read() as connection:
        user = await team.require_user(connection, actor.id)
    try:
        await _check(user.password_hash, user.email, old, new, again)
        hashed = await hash_password(new)
    except CrispsyncError as error:
        return await _profile(request, trouble=error)

    async def work(connection: AsyncConnection) -> str:
        await links.set_password(connection, actor.id, hashed)
        await audit(connection, actor, "password.changed", subject=("user", actor.id))
        return await open_session(connection, actor.id)

    answer = RedirectResponse("/settings/profile?saved=password", 303)
    keep_session(request, answer, await db.transact(work), "login")
    return answer


async def _check(stored: str | None, email: str, old: str, new: str, again: str) -> None:
    """Raises Refused, TooBusy."""
    if reason := weakness(new, email):
        raise Refused(reason)
    if new != again:
        raise Refused("The new password was not written the same way twice.")
    if not await password_fits(stored, old[:1000]):
        raise Refused("The present password is another one.")


async def _profile(
    request: Request, *, good: str = "", trouble: CrispsyncError | None = None
) -> Response:
    async with look_in(request) as page:
        actor = page.frame.actor
        user = await team.require_user(page.connection, actor.id if actor else "")
        return page.show(
            "profile.html",
            trouble.http_status if trouble else 200,
            user=user,
            good=good,
            trouble=trouble.message if trouble else "",
        )
