"""The pages over a real database, with stand-ins for what the rest of the program gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request

from app.accounts.actors import Actor
from app.db.session import Database, open_database
from app.errors import CrispsyncError
from app.pages.parts import SyncCalls, sync_calls
from app.pages.routes import install
from tests.fixtures.people import log_in_as
from tests.fixtures.routes import share_routes
from tests.pages import rows

ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def _begins_now() -> None:
    rows.begin()


@dataclass
class Quota:
    used: int = 1204
    limit: int = 5000
    paused_until: datetime | None = None
    reason: str | None = None


@dataclass
class Cost:
    conversations: int = 1840
    requests: int = 2210
    days: float = 0.4
    at_least: bool = True


@dataclass
class Stand:
    """What the pages asked of the rest, and what it answers."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    rung: int = 0
    refusal: CrispsyncError | None = None
    quota_now: Quota = field(default_factory=Quota)

    async def request_run(
        self,
        db: Database,
        website_id: str,
        kind: str,
        *,
        started_by: str,
        actor: Actor | None = None,
        window_from: datetime | None = None,
        window_to: datetime | None = None,
    ) -> str:
        self._note("request", website_id, kind, started_by, window_from, window_to)
        return "new-run"

    async def ask(
        self,
        db: Database,
        website_id: str,
        run_id: str,
        what: Literal["pause", "cancel"],
        actor: Actor,
    ) -> None:
        self._note(what, website_id, run_id)

    async def resume(self, db: Database, website_id: str, run_id: str, actor: Actor) -> None:
        self._note("resume", website_id, run_id)

    async def preview(self, website_id: str, start: datetime, end: datetime) -> Cost:
        self._note("preview", website_id, start, end)
        return Cost()

    async def refresh(self, actor: Actor, website_id: str, kind: str, row_id: str) -> None:
        self._note("refresh", actor.name, website_id, kind, row_id)

    async def ring(self) -> None:
        self.rung += 1

    async def quota(self) -> Quota:
        return self.quota_now

    def _note(self, *what: Any) -> None:
        if self.refusal:
            raise self.refusal
        self.asked.append(what)


def pages_app(db: Database, stand: Stand) -> FastAPI:
    app = FastAPI()
    app.state.db = db
    app.state.ring, app.state.preview, app.state.quota = stand.ring, stand.preview, stand.quota
    app.state.refresh = stand.refresh
    app.state.sync_calls = SyncCalls(stand.request_run, stand.ask, stand.resume)
    app.dependency_overrides[sync_calls] = _of_the_stand
    install(app)
    return share_routes(app, "pages")


def _of_the_stand(request: Request) -> SyncCalls:
    calls: SyncCalls = request.app.state.sync_calls
    return calls


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def stand() -> Stand:
    return Stand()


@pytest_asyncio.fixture
async def client(db: Database, stand: Stand) -> AsyncIterator[httpx.AsyncClient]:
    """An admin, logged in."""
    transport = httpx.ASGITransport(app=pages_app(db, stand), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as opened:
        (await log_in_as(db)).give(opened)
        yield opened
