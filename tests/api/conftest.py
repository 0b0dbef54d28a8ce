"""The API over a real database: two websites, and tokens of each role for one of them, both, or none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from app.accounts.actors import Actor, Role
from app.api.app import mount_api
from app.api.door import ActorOfToken
from app.db.session import Database, open_database
from app.main import _equip
from app.settings import Settings
from app.websites.connect import Installed, save_connected
from tests.fixtures.program import SECRET_KEY
from tests.fixtures.routes import share_routes
from tests.ingesting import WEBSITE, Site, person, said, talk

OTHER = "1f0c9d1e-0000-4000-8000-000000000001"
OF_BOTH = None
ROLES = {"viewer": Role.VIEWER, "member": Role.MEMBER, "admin": Role.ADMIN}


def actor_named(token: str) -> Actor | None:
    """`viewer` sees one website; `viewer-all` every one; `viewer-none` none."""
    role, _, sight = token.partition("-")
    if role not in ROLES:
        return None
    sees = {"": frozenset({WEBSITE}), "all": OF_BOTH, "none": frozenset()}[sight]
    return Actor("token", token, token, ROLES[role], sees)


@dataclass
class Api:
    """`get("viewer", "/contacts")`: as that token. `here` and `there` are the two websites."""

    client: httpx.AsyncClient
    whole: FastAPI
    here: Site
    there: Site
    rung: list[str] = field(default_factory=list)

    async def ask(self, token: str | None, method: str, path: str, **values: Any) -> httpx.Response:
        headers = dict(values.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **values)

    async def get(self, token: str | None, path: str, **values: Any) -> httpx.Response:
        return await self.ask(token, "GET", path, **values)

    async def data(self, token: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        return await self.data_around(nothing, token, path, **params)

    async def data_around(
        self, change: Callable[[], Awaitable[None]], token: str, path: str, **params: Any
    ) -> list[dict[str, Any]]:
        """All pages of a list; `change` happens between the first and the second."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            given = params | ({"cursor": cursor} if cursor else {})
            answer = await self.get(token, path, params=given)
            assert answer.status_code == 200, answer.text
            found += answer.json()["data"]
            if cursor is None:
                await change()
            cursor = answer.json()["next_cursor"]
            if cursor is None:
                return found


async def nothing() -> None:
    """Nothing changes meanwhile."""


async def by_name(_db: Database, token: str) -> Actor | None:
    return actor_named(token)


def small_app(
    db: Database,
    per_minute: int = 100_000,
    actor_of_token: ActorOfToken = by_name,
    **settings: Any,
) -> FastAPI:
    """As the program equips it, without a credential; bells are only noted."""
    app = FastAPI(openapi_url=None)
    _equip(app, db, Settings(secret_key=SecretStr(SECRET_KEY), **settings))
    app.state.rung = []

    async def ring() -> None:
        app.state.rung.append("runs")

    app.state.ring = ring
    app.state.hook_bell = lambda: app.state.rung.append("hooks")
    mount_api(app, actor_of_token, per_minute)
    return share_routes(app, "small")


@pytest_asyncio.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    db = open_database(database_url)
    await save_connected(db, Installed(WEBSITE, "Acme Chat", "acme.example"))
    await save_connected(db, Installed(OTHER, "Other Chat", None))
    app = small_app(db, uploads_folder=tmp_path / "uploads", import_max_mb=1)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://crispsync.example") as one:
        yield Api(one, app, Site(db), Site(db, OTHER))
    await db.close()


async def some_rows(site: Site, name: str) -> None:
    """Two people of one company, three conversations, one of them nobody's, and a private note."""
    acme = {"name": f"{name} Ltd", "domain": f"{name}.example"}
    await site.take(
        person(f"ann-{name}", email=f"Ann@{name}.example", company=acme, person={"nickname": "Ann =1+1"}),
        person(f"bob-{name}", email=f"bob@{name}.example", company=acme, segments=["vip"]),
        talk(f"t1-{name}", people_id=f"ann-{name}", meta={"subject": "Refund 100%", "email": f"ann@{name}.example"}),
        talk(f"t2-{name}", at=5, people_id=f"bob-{name}", state="resolved"),
        talk(f"t3-{name}", at=7, meta={"email": f"who@{name}.example"}),
        said(f"t1-{name}", 1, "Where is my money?", 1),
        said(f"t1-{name}", 2, "Known bug", 2, sent_by="operator", type="note"),
        said(f"t1-{name}", 3, "On its way", 3, sent_by="operator"),
        said(f"t2-{name}", 1, "=HYPERLINK(1)", 4),
    )  # fmt: skip
