"""The page around a page: which website, where one is, how it stands.

The website is in the URL (`?website=ID`), not in a cookie: two windows can show two websites, and
a link sent to a colleague shows the same rows. With one website the URL stays short.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.clock import zone_named
from app.db.session import Database
from app.errors import NotFound
from app.pages import queries_frame
from app.pages.rendering import render
from app.pages.rows import AnyRow
from app.pages.security import session_of
from app.pages.states import NO_WEBSITE, State, state_of
from app.pages.times import Moments


@dataclass(frozen=True, slots=True)
class Frame:
    path: str
    websites: Sequence[AnyRow] = ()
    website: AnyRow | None = None
    runs: Sequence[AnyRow] = ()
    unmatched: int = 0
    dead_letters: int = 0
    state: State = NO_WEBSITE
    q: str = ""
    # Who looks at it, and what the forms of its session carry; none for strangers.
    actor: Actor | None = None
    form_token: str = ""
    moments: Moments = field(default_factory=lambda: Moments(zone_named("UTC"), clock.now()))

    def url(self, path: str, /, **params: object) -> str:
        """An address of these pages, of the same website; empty parameters are left out."""
        website = self.website.id if self.website is not None and len(self.websites) > 1 else ""
        given = {"website": website, **params}
        query = urlencode({name: value for name, value in given.items() if value not in ("", None)})
        return f"{path}?{query}" if query else path

    def at(self, moments: Moments) -> Frame:
        """The same frame a moment later."""
        return replace(self, moments=moments)

    def may(self, role: str) -> bool:
        """Whether the visitor has the role `viewer`, `member` or `admin`; buttons need not show otherwise."""
        return self.actor is not None and self.actor.may(Role[role.upper()])

    def is_in(self, section: str) -> bool:
        return self.path == section or (section != "/" and self.path.startswith(section + "/"))


@dataclass(frozen=True, slots=True)
class Visit:
    """One page being made: the open read transaction and the frame."""

    request: Request
    connection: AsyncConnection
    frame: Frame

    @property
    def website_id(self) -> str:
        if self.frame.website is None:
            raise NoWebsite
        return str(self.frame.website.id)

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        return render(template, self.frame, status, **context)


class NoWebsite(Exception):
    """Nothing is connected: every page then says how to begin."""

    def __init__(self) -> None:
        super().__init__("no website is connected")


def database_of(request: Request) -> Database:
    database: Database = request.app.state.db
    return database


@asynccontextmanager
async def visit(request: Request) -> AsyncIterator[Visit]:
    """Raises NotFound for a website that is not here or not granted, NoWebsite when there is none at all."""
    async with database_of(request).read() as connection:
        frame = await open_frame(connection, request)
        if frame.website is None:
            raise NoWebsite
        yield Visit(request, connection, frame)


@asynccontextmanager
async def visit_with_two(request: Request) -> AsyncIterator[tuple[Visit, AsyncConnection]]:
    """As `visit`, with a connection for what takes long, to be asked for while the rest is."""
    db = database_of(request)
    async with AsyncExitStack() as open_until_read:
        async with db.taking_two:
            page = await open_until_read.enter_async_context(visit(request))
            beside = await open_until_read.enter_async_context(db.read())
        yield page, beside


@asynccontextmanager
async def look_in(request: Request) -> AsyncIterator[Visit]:
    """As `visit`, for pages that also make sense when no website is connected or granted yet."""
    async with database_of(request).read() as connection:
        yield Visit(request, connection, await open_frame(connection, request))


async def open_frame(connection: AsyncConnection, request: Request) -> Frame:
    session = session_of(request)
    if session is None:
        return Frame(request.url.path)
    actor, form_token = session.actor, session.form_token
    found = await queries_frame.all_websites(connection)
    # What was not granted is not there: nothing tells it from what does not exist (FAILURES case 91).
    websites = [website for website in found if actor.sees(website.id)]
    website = choose_website(websites, request.query_params.get("website", ""))
    if website is None:
        return Frame(request.url.path, actor=actor, form_token=form_token)
    standing = await queries_frame.standing_of(connection, website.id)
    return Frame(
        path=request.url.path,
        websites=websites,
        website=website,
        runs=standing.runs,
        unmatched=standing.unmatched,
        dead_letters=standing.dead_letters,
        state=state_of(website, standing.runs),
        q=request.query_params.get("q", "")[:200] if request.url.path == "/search" else "",
        actor=actor,
        form_token=form_token,
        moments=Moments(zone_named(website.time_zone), clock.now()),
    )


def choose_website(websites: Sequence[AnyRow], asked: str) -> AnyRow | None:
    if not asked:
        return websites[0] if websites else None
    for website in websites:
        if website.id == asked:
            return website
    raise NotFound("There is no website of that id here.")
