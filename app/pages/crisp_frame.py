"""`/plugin/…`: the settings page that Crisp opens in a frame (SPEC C5; FAILURES cases 92 to 94, 100, 101).

Only these answers may be framed, and only by Crisp's app. They hold no script at all, so nobody's
postMessage is listened to.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.actors import Forbidden
from app.accounts.sessions import open_frame_session
from app.errors import CrispsyncError, Refused
from app.pages.access import CurrentActor
from app.pages.cookies import keep_session
from app.pages.frame import Frame, database_of, visit
from app.pages.parts import ring_of
from app.pages.rendering import render
from app.pages.run_words import view_run
from app.pages.security import CONTENT_SECURITY_POLICY, require_own_request
from app.pages.website_settings import preferences_context, settings_of
from app.sync.access import opened_client
from app.sync.runs import request_run
from app.websites.credential import read_credential
from app.websites.embedding import (
    NotFromCrisp,
    may_read_again,
    read_again,
    require_embeddable,
    stored_token_fits,
)
from app.websites.preferences import change_preferences, read_preferences

CRISP_APP = "https://app.crisp.chat"
_POLICY = CONTENT_SECURITY_POLICY.replace("script-src 'self'", "script-src 'none'").replace(
    "frame-ancestors 'none'", f"frame-ancestors {CRISP_APP}"
)
CLEAN = "/plugin/website"
AGAIN = "Open the plugin's settings in Crisp again."


def framed(actor: CurrentActor) -> None:
    if actor.kind != "frame":
        raise Forbidden("This page is for Crisp's frame.")


open_door = APIRouter()
router = APIRouter(dependencies=[Depends(framed)])
changes = APIRouter(dependencies=[Depends(require_own_request), Depends(framed)])

Typed = Annotated[str, Form()]


def frameable(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "private, no-store"
    return response


@open_door.get("/plugin/settings")
async def enter(request: Request, website_id: str = "", token: str = "") -> Response:
    """The token is exchanged for a session, and does not stand in any address after that."""
    wanted = website_id.strip().lower()
    try:
        await _prove(request, wanted, token)
    except CrispsyncError as error:
        return _told(request, error.message, error.http_status)
    session = await database_of(request).transact(lambda c: open_frame_session(c, wanted))
    answer = RedirectResponse(CLEAN, 303)
    keep_session(request, answer, session, "frame")
    return frameable(answer)


async def _prove(request: Request, website_id: str, token: str) -> None:
    """Raises NotFromCrisp, or what asking Crisp raises."""
    db, settings = database_of(request), settings_of(request)
    if await stored_token_fits(db, settings, website_id, token):
        return
    if not await may_read_again(db, website_id):
        raise NotFromCrisp
    plugin_id = (await read_credential(db, settings)).plugin_id
    async with opened_client(db, settings) as client:
        await read_again(db, settings, client, plugin_id, website_id, token)


@open_door.get("/plugin/callback")
async def callback(request: Request) -> Response:
    """Where an installation ends. Unsigned, so nothing is believed and nothing done (FAILURES case 101)."""
    return _told(
        request,
        "Thank you. Whether the plugin is installed is told by Crisp itself: the website appears "
        "here within half an hour, and waits for its first import.",
        200,
    )


def _told(request: Request, sentence: str, status: int) -> Response:
    frame = Frame(request.url.path)
    return frameable(render("framed_word.html", frame, status, sentence=sentence, again=AGAIN))


@router.get(CLEAN)
async def website(request: Request) -> Response:
    return await _show(request)


async def _show(request: Request, status: int = 200, trouble: str = "") -> Response:
    async with visit(request) as page:
        context = await preferences_context(page, trouble=trouble)
    await require_embeddable(database_of(request), page.website_id)
    runs = [view_run(run, page.frame.moments) for run in page.frame.runs]
    return frameable(page.show("framed_website.html", status, runs=runs, **context))


@changes.post(CLEAN)
async def save(request: Request, actor: CurrentActor) -> Response:
    async with visit(request) as page:
        website_id = page.website_id
    typed = {k: v for k, v in (await request.form()).items() if isinstance(v, str)}
    try:
        values = read_preferences(typed)
    except Refused as error:
        return await _show(request, error.http_status, error.message)
    work = partial(change_preferences, actor=actor, website_id=website_id, values=values)
    await database_of(request).transact(work)
    return frameable(RedirectResponse(f"{CLEAN}?saved=1", 303))


@changes.post(f"{CLEAN}/sync")
async def sync(request: Request, actor: CurrentActor, kind: Typed = "") -> Response:
    async with visit(request) as page:
        website_id = page.website_id
    try:
        if kind not in {"full", "incremental"}:
            raise Refused("A sync is full or incremental.")
        chosen: Literal["full", "incremental"] = "full" if kind == "full" else "incremental"
        await request_run(
            database_of(request), website_id, chosen, started_by=actor.name, actor=actor
        )
    except CrispsyncError as error:
        return await _show(request, error.http_status, error.message)
    await ring_of(request)()
    return frameable(RedirectResponse(CLEAN, 303))
