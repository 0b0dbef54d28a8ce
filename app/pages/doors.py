"""Nobody reaches a route without being known: the session of a request, or the way to /login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.accounts.sessions import Kind, Session, find_session, touch_session
from app.db.session import Database
from app.errors import CrispsyncError, DatabaseAway
from app.pages.cookies import read_cookie

LOGIN, WELCOME = "/login", "/welcome"
# What these do they do for strangers, or they prove who asks in a way of their own.
OPEN = (
    LOGIN,
    WELCOME,
    "/plugin/settings",
    "/plugin/callback",
    "/healthz",
    "/readyz",
    "/metrics",
)
OPEN_BELOW = ("/static/", "/webhooks/", "/api/")
FRAME = "/plugin/"
_LONGEST_NEXT = 2_000

Problem = Callable[[Request, Exception], Awaitable[Response]]


class KnownPeople:
    """Finds the session of each request, and lets strangers only through the open doors."""

    def __init__(self, app: ASGIApp, problem: Problem) -> None:
        self.app = app
        self.problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OPEN_BELOW):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            session = await _session(request)
        except CrispsyncError as error:
            answer = await self.problem(request, error)
            await answer(scope, receive, send)
            return
        request.state.session = session
        if session is None and scope["path"] not in OPEN:
            await _stranger(request)(scope, receive, send)
            return
        await self.app(scope, receive, send)


async def _session(request: Request) -> Session | None:
    kind: Kind = "frame" if request.url.path.startswith(FRAME) else "login"
    token = read_cookie(request, kind)
    if not token:
        return None
    db: Database = request.app.state.db
    async with db.read() as connection:
        session = await find_session(connection, token, kind)
    if session is not None and session.due:
        await _touch(db, session)
    return session


async def _touch(db: Database, session: Session) -> None:
    try:
        async with db.write() as connection:
            await touch_session(connection, session.id_hash)
    except DatabaseAway:  # it can still be read: no reason not to show the page
        pass


def _stranger(request: Request) -> ASGIApp:
    if request.url.path.startswith(FRAME):
        return PlainTextResponse(
            "This page was open for longer than its session. Open the plugin's settings in Crisp again.",
            401,
        )
    if "text/event-stream" in request.headers.get("accept", ""):
        return PlainTextResponse("Log in first.", 401)
    if request.method not in {"GET", "HEAD"}:
        return RedirectResponse(f"{LOGIN}?ended=1", 303)
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(login_address(path), 303)


def login_address(wanted: str) -> str:
    wanted = safe_next(wanted)
    return LOGIN if wanted == "/" else f"{LOGIN}?next={quote(wanted, safe='/')}"


def safe_next(wanted: str) -> str:
    """A path of these pages; `/` for anything that could lead elsewhere."""
    plain = wanted.isprintable() and "\\" not in wanted and len(wanted) <= _LONGEST_NEXT
    if not plain or not wanted.startswith("/") or wanted.startswith("//"):
        return "/"
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or parts.path in {LOGIN, WELCOME, "/logout"}:
        return "/"
    return wanted
