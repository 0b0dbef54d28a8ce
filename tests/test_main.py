"""The web app's probes (CONTRACT, HTTP)."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.db.migrate import upgrade
from app.main import create, create_app
from app.settings import Settings, get_settings
from tests.fixtures.databases import sqlite_address
from tests.fixtures.people import log_in_as
from tests.fixtures.postgres import PostgresServer


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


def app_on(url: str) -> FastAPI:
    return create_app(Settings(database_url=url))


async def test_alive_and_ready(database_url: str) -> None:
    app = app_on(database_url)
    async with app.router.lifespan_context(app), client(app) as web:
        alive, ready = await web.get("/healthz"), await web.get("/readyz")
        assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
        assert ready.status_code == 200
        assert ready.json() == {
            "database": "ready", "redis": "not used", "worker": "none has told of itself"
        }  # fmt: skip


async def test_not_ready_while_the_database_is_away(own_postgres: PostgresServer) -> None:
    upgrade(own_postgres.url)
    app = app_on(own_postgres.url)
    async with app.router.lifespan_context(app), client(app) as web:
        assert (await web.get("/readyz")).status_code == 200
        own_postgres.stop("fast")
        away = await web.get("/readyz")
        assert away.status_code == 503
        assert away.json()["database"] != "ready"
        assert str(own_postgres.folder) not in away.text
        # A supervisor must not restart it for that.
        assert (await web.get("/healthz")).status_code == 200
        own_postgres.start()
        assert (await web.get("/readyz")).status_code == 200


async def test_pages_say_so_while_the_database_is_away(own_postgres: PostgresServer) -> None:
    upgrade(own_postgres.url)
    app = app_on(own_postgres.url)
    async with app.router.lifespan_context(app), client(app) as web:
        (await log_in_as(app.state.db)).give(web)
        own_postgres.stop("fast")
        for path in ("/", "/login", "/contacts"):
            page = await web.get(path)
            assert page.status_code == 503
            assert "database" in page.text.lower()
            assert "Traceback" not in page.text


async def test_probes_answer_under_any_name(sqlite_url: str) -> None:
    """Probes come by address, pages only to the names they know."""
    app = app_on(sqlite_url)
    async with app.router.lifespan_context(app), client(app) as web:
        for path in ("/healthz", "/readyz"):
            assert (await web.get(path, headers={"Host": "10.1.2.3:8000"})).status_code == 200
        assert (await web.get("/", headers={"Host": "10.1.2.3:8000"})).status_code >= 400


async def test_nothing_shows_the_schema_of_the_app(sqlite_url: str) -> None:
    app = app_on(sqlite_url)
    async with app.router.lifespan_context(app), client(app) as web:
        (await log_in_as(app.state.db)).give(web)
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert (await web.get(path)).status_code == 404


def test_create_reads_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_address(tmp_path / "crispsync.db"))
    get_settings.cache_clear()
    try:
        assert isinstance(create(), FastAPI)
    finally:
        get_settings.cache_clear()
