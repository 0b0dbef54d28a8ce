"""Every route of the web app, as every role, as a stranger, and with another website's ids.

Made from the app's own routes: one without a role, or with a parameter that has no example here,
fails, so that nobody forgets it (SPEC P4, FAILURES 91). The API's routes are crawled in tests/api.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount, Route

from app.accounts.actors import COMMAND, Role
from app.accounts.tokens import create_token, list_tokens
from app.accounts.users import add_user
from app.alerts.targets import add_email
from app.db.session import Database
from app.imports.tables import imports
from app.main import create_app
from app.pages.access import admin, member, viewer
from app.pages.security import require_own_origin, require_own_request
from app.settings import Settings
from tests.fixtures.people import Carried, log_in_as
from tests.pages import rows
from tests.pages.conftest import ORIGIN
from tests.pages.rows import OTHER_SITE, SITE, put, small_world

pytestmark = pytest.mark.asyncio

ROLES = {viewer: Role.VIEWER, member: Role.MEMBER, admin: Role.ADMIN}
# Routes that need no login, each with its reason.
OPEN = {
    "/login": "that is where one logs in",
    "/welcome": "the link proves who it is",
    "/healthz": "says nothing",
    "/readyz": "says nothing",
    "/webhooks/crisp": "proves itself by its signature",
    "/webhooks/crisp/": "the same",
    "/metrics": "counts only",
}
LAYOUT = {"encoding": "utf-8", "separator": ",", "header": True}
OF_NO_WEBSITE = {
    "/logout",
    "/settings",
    "/settings/profile",
    "/settings/password",
    "/imports/sample.csv",
}
THEIRS = "other-"
NOWHERE = "never-there"


@dataclass(frozen=True)
class Way:
    path: str
    method: str
    role: Role | None
    guarded: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def changes(self) -> bool:
        return self.method not in {"GET", "HEAD"}


def calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from calls(inner)


def ways(app: FastAPI) -> list[Way]:
    found = []
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            assert route.path in {"/static", "/api/v1"}, f"{route.path}: who may see it?"
            continue
        original = route.original_route
        used = set(calls(route.dependant)) if isinstance(original, APIRoute) else set()
        role = max((role for call, role in ROLES.items() if call in used), default=None)
        guarded = bool({require_own_request, require_own_origin} & used)
        assert isinstance(original, Route | APIRoute)
        found += [
            Way(str(route.path), method, role, guarded)
            for method in (route.methods or {"POST"}) - {"HEAD"}
        ]
    return sorted(found, key=lambda way: way.name)


def an_app(url: str = "sqlite+aiosqlite:///nothing.db", **given: Any) -> FastAPI:
    return create_app(Settings(database_url=url, **given))


async def test_every_route_says_who_may() -> None:
    for way in ways(an_app()):
        if way.path in OPEN:
            assert way.role is None, f"{way.name} is open and needs a role: which of the two?"
            continue
        if way.path.startswith("/plugin/"):
            continue  # tests/pages: Crisp's frame has sessions of its own
        assert way.role is not None, (
            f"{way.name} names no role: add Depends(viewer), Depends(member) or Depends(admin) of "
            "app/pages/access.py, or write into OPEN why it needs none."
        )
        if way.changes:
            assert way.guarded, f"{way.name} changes something: add Depends(require_own_request)."


@dataclass
class Crawled:
    """The app over two websites; `client` carries what `as_` was told."""

    app: FastAPI
    db: Database
    client: httpx.AsyncClient
    examples: dict[str, str]

    def as_(self, carried: Carried | None) -> None:
        self.client.cookies.clear()
        self.client.headers.pop("X-Form-Token", None)
        if carried is not None:
            carried.give(self.client)

    async def ask(self, way: Way, examples: dict[str, str] | None = None) -> httpx.Response:
        return await self.client.request(way.method, self.filled(way, examples))

    def filled(self, way: Way, examples: dict[str, str] | None = None) -> str:
        given = self.examples | (examples or {})

        def example(found: re.Match[str]) -> str:
            before, name = found[1] or "", found[2].partition(":")[0]
            key = before or name
            assert key in given, f"{way.name}: add an example of /{key}/ to EXAMPLES in this file."
            return f"{before}/{given[key]}" if before else f"/{given[key]}"

        return re.sub(r"([\w-]*)/\{([^}]+)\}", example, way.path)

    @property
    def guarded(self) -> list[Way]:
        closed = [way for way in ways(self.app) if way.path not in OPEN]
        return [way for way in closed if not way.path.startswith("/plugin/")]


# By the part of the path before the place; a place after another place by its own name.
EXAMPLES = {
    "contacts": "ann",
    "companies": "acme",
    "conversations": "talk",
    "syncs": "run",
    "events": rows.inbox_event("ours")[1]["id"],
    "imports": "sheet",
}
# Of nobody's website.
DEEDS = {
    "what": "pause",
    "connection": "pause",
    "views": "a-view",
    "rows": "1",
    "merges": "a-merge",
    "remedies": "a-remedy",
}


async def somebody(db: Database) -> dict[str, str]:
    """A user, a token and a target of alerts that routes may do to what they like."""
    async with db.write() as connection:
        user_id = await add_user(connection, COMMAND, "victim@acme.example", "", Role.VIEWER)
        await create_token(connection, COMMAND, "for others", "read", None, None)
        token = (await list_tokens(connection))[0]
        target_id = await add_email(connection, COMMAND, "victim@acme.example", None)
    return {"team": user_id, "tokens": token.id, "alerts": target_id}


@asynccontextmanager
async def crawling(url: str, **given: Any) -> AsyncIterator[Crawled]:
    app = an_app(url, **given)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client,
    ):
        db: Database = app.state.db
        await put(db, [*small_world(), rows.inbox_event("ours"),
                       *small_world(OTHER_SITE, THEIRS),
                       rows.inbox_event("theirs", site=OTHER_SITE)])  # fmt: skip
        async with db.write() as connection:
            for site, name in ((SITE, "sheet"), (OTHER_SITE, f"{THEIRS}sheet")):
                _, row = rows.row_of(
                    imports,
                    website_id=site,
                    id=name,
                    state="cancelled",
                    mode="merge",
                    layout=LAYOUT,
                )
                await connection.execute(imports.insert(), row)
        yield Crawled(app, db, client, EXAMPLES | DEEDS | await somebody(db))


async def test_strangers_get_nowhere(database_url: str) -> None:
    async with crawling(database_url) as crawled:
        for way in crawled.guarded:
            for address in (crawled.filled(way), f"{crawled.filled(way)}?website={OTHER_SITE}"):
                answer = await crawled.client.request(way.method, address)
                assert answer.status_code == 303, way.name
                assert answer.headers["location"].partition("?")[0] == "/login", way.name
                assert answer.text == "", way.name


async def test_case_092_every_answer_carries_the_headers(sqlite_url: str) -> None:
    """Of each route, to a stranger and to an admin; Crisp's app may frame its own pages and no others."""
    async with crawling(sqlite_url, public_url="https://sync.acme.example") as crawled:
        carried = await log_in_as(crawled.db)
        for way in sorted(ways(crawled.app), key=lambda way: way.path == "/logout"):
            for who in (None, carried):
                crawled.as_(who)
                told = (await crawled.ask(way)).headers
                policy = told["content-security-policy"]
                assert "unsafe" not in policy, way.name
                framed_by = policy.partition("frame-ancestors ")[2]
                own = {"'none'", "https://app.crisp.chat"}
                assert framed_by in (own if way.path.startswith("/plugin/") else {"'none'"}), (
                    way.name
                )
                assert "x-frame-options" not in told, way.name
                assert told["x-content-type-options"] == "nosniff", way.name
                assert told["referrer-policy"] == "no-referrer", way.name
                assert told["strict-transport-security"] == "max-age=31536000", way.name


@pytest.mark.parametrize("role", Role)
async def test_roles_may_what_they_may_and_no_more(database_url: str, role: Role) -> None:
    async with crawling(database_url) as crawled:
        carried = await log_in_as(crawled.db, role, [SITE])
        # Whoever logs out is logged out: last.
        for way in sorted(crawled.guarded, key=lambda way: way.path == "/logout"):
            crawled.as_(carried)
            answer = await crawled.ask(way)
            assert way.role is not None
            if role < way.role:
                assert answer.status_code == 403, (way.name, answer.text[:300])
                assert "This needs the role" in answer.text, way.name
            else:
                assert answer.status_code not in {401, 403, 500}, (way.name, answer.text[-600:])


async def test_no_form_counts_without_its_word(database_url: str) -> None:
    async with crawling(database_url) as crawled:
        carried = await log_in_as(crawled.db)
        for way in crawled.guarded:
            if way.changes:
                crawled.as_(carried)
                del crawled.client.headers["X-Form-Token"]
                assert (await crawled.ask(way)).status_code == 403, way.name


async def test_case_091_another_websites_ids_are_not_there(database_url: str) -> None:
    """404, as for what does not exist at all, and word for word the same page."""
    theirs = {where: THEIRS + example for where, example in EXAMPLES.items()}
    theirs["events"] = rows.inbox_event("theirs")[1]["id"]
    nowhere = dict.fromkeys(theirs, NOWHERE)
    async with crawling(database_url) as crawled:
        carried = await log_in_as(crawled.db, Role.MEMBER, [SITE])
        for way in crawled.guarded:
            if way.role is Role.ADMIN:
                continue  # admins see every website
            crawled.as_(carried)
            if set(theirs) & set(re.findall(r"([\w-]+)/\{", way.path)):
                found, missing = await crawled.ask(way, theirs), await crawled.ask(way, nowhere)
                # 422: without a credential nothing is looked up.
                assert found.status_code == missing.status_code, way.name
                assert found.status_code in {404, 422}, way.name
                assert plain(found, carried) == plain(missing, carried), way.name
            if way.path in OF_NO_WEBSITE:
                continue
            there = await crawled.client.request(
                way.method, f"{crawled.filled(way)}?website={OTHER_SITE}"
            )
            nobodys = await crawled.client.request(
                way.method, f"{crawled.filled(way)}?website={NOWHERE}"
            )
            # 422: a form that was not filled in is not understood, whatever it is about.
            assert there.status_code == nobodys.status_code, way.name
            assert there.status_code in {404, 422}, way.name
            assert plain(there, carried) == plain(nobodys, carried), way.name


def plain(answer: httpx.Response, carried: Carried) -> str:
    assert f"{THEIRS}Acme Chat" not in answer.text
    text = answer.text.replace(carried.form_token, "")
    for name in (NOWHERE, OTHER_SITE, THEIRS):
        text = text.replace(name, "")
    return text
