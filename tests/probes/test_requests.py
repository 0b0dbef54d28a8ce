"""One id from a request to its log lines and what it changes; the access log holds nothing of people."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from sqlalchemy import select

from app.accounts.tables import audit_log
from app.logs import CHATTY, configure_logs
from app.main import create_app
from app.probes.requests import request_id_of
from app.settings import Settings
from app.sync.tables import sync_runs
from app.websites.connect import Installed, save_connected
from tests.fixtures.people import log_in_as

SITE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
GIVEN = "0f2c9a51-6f5d-4b7e-9a55-6a6f3d1c2b3a"


@pytest.fixture(autouse=True)
def json_logs() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    structlog.reset_defaults()
    configure_logs(as_json=True)
    yield
    structlog.reset_defaults()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest_asyncio.fixture
async def app(database_url: str) -> AsyncIterator[FastAPI]:
    made = create_app(Settings(database_url=database_url, crisp_signing_secret="of-the-suite"))
    async with made.router.lifespan_context(made):
        await save_connected(made.state.db, Installed(SITE, "Acme", None))
        yield made


@pytest_asyncio.fixture
async def web(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        (await log_in_as(app.state.db)).give(client)
        yield client


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    told = capsys.readouterr().err.splitlines()
    return [json.loads(line) for line in told if '"event": "request"' in line]


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/contacts?q=ann@acme.example", "/contacts", 200),
        ("GET", "/contacts/ann@acme.example", "/contacts/{contact_id}", 404),
        ("GET", "/plugin/settings?website_id=x&token=secret-4471", "/plugin/settings", 403),
        ("GET", "/nothing/ann@acme.example", "none", 404),
        ("PATCH", "/contacts", "/contacts", 405),
        ("GET", "/static/style.css", "/static", 200),
        ("POST", "/healthz", "/healthz", 405),
        ("GET", "/api/v1/contacts/ann@acme.example", "/api/v1", 401),
        ("POST", "/webhooks/crisp", "/webhooks/crisp", 403),
    ],
)
async def test_case_093_a_line_names_the_route_and_nothing_that_was_asked(
    web: httpx.AsyncClient,
    capsys: pytest.CaptureFixture[str],
    method: str,
    path: str,
    route: str,
    status: int,
) -> None:
    capsys.readouterr()
    answer = await web.request(method, path, content=b"{}" if method == "POST" else None)
    told = capsys.readouterr().err
    (line,) = [json.loads(one) for one in told.splitlines() if '"event": "request"' in one]
    assert answer.status_code == status, answer.text
    assert (line["method"], line["route"], line["status"]) == (method, route, status)
    assert line["ms"] >= 0
    assert line["request_id"] == answer.headers["x-request-id"]
    known = {"event", "level", "timestamp", "method", "route", "status", "ms", "request_id"}
    assert line.keys() == known
    for hidden in ("ann@", "secret-", "127.0.0.1", "?"):
        assert hidden not in told


async def test_the_route_of_an_api_request(
    app: FastAPI, web: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.accounts.actors import COMMAND
    from app.accounts.tokens import create_token

    async with app.state.db.write() as connection:
        token = await create_token(connection, COMMAND, "suite", "read", None, None)
    capsys.readouterr()
    answer = await web.get(
        "/api/v1/syncs/ann@acme.example", headers={"Authorization": f"Bearer {token}"}
    )
    told = capsys.readouterr().err
    assert answer.status_code == 404
    assert '"route": "/api/v1/syncs/{sync_id}"' in told
    assert token not in told
    assert "ann@" not in told


@pytest.mark.parametrize("sane", [GIVEN, GIVEN.replace("-", ""), "01J8ZQ3N4T5V6W7X8Y9Z0ABCDE"])
async def test_a_sane_id_is_kept(web: httpx.AsyncClient, sane: str) -> None:
    answer = await web.get("/healthz", headers={"X-Request-Id": sane})
    assert answer.headers.get_list("x-request-id") == [sane]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "short",
        "ann@acme.example",
        "two words and more",
        "x" * 65,
        "-begins-wrong",
        'a"b":1,{}x',
        "cs_0123456789abcdef0123",
        "ünïcödé-ünïcödé",
        "line\x85end-line",
        "٣٤٥٦٧٨٩٠١",
    ],
)
async def test_any_other_is_replaced(
    web: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    assert request_id_of(wrong) != wrong
    capsys.readouterr()
    answer = await web.get("/login", headers={b"X-Request-Id": wrong.encode()})
    made = answer.headers["x-request-id"]
    assert len(made) == 32
    assert [line["request_id"] for line in lines(capsys)] == [made]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_that_went_well_fill_no_log(
    web: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    capsys.readouterr()
    answer = await web.get(path)
    assert answer.status_code == 200
    assert answer.headers["x-request-id"]
    assert lines(capsys) == []


async def test_each_request_has_another(web: httpx.AsyncClient) -> None:
    made = {(await web.get("/healthz")).headers["x-request-id"] for _ in range(20)}
    assert len(made) == 20
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_fault_has_an_id_too(
    app: FastAPI, web: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reports it has the id, and the log has the details under it."""

    async def broken() -> None:
        raise ZeroDivisionError("my card is 4471")

    app.add_api_route("/healthz/broken", broken)
    app.router.routes.insert(0, app.router.routes.pop())
    await web.post("/login")
    capsys.readouterr()
    answer = await web.get("/healthz/broken", headers={"X-Request-Id": GIVEN})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == GIVEN
    (line,) = lines(capsys)
    assert (line["status"], line["request_id"]) == (500, GIVEN)


async def test_what_it_changes_carries_it(app: FastAPI, web: httpx.AsyncClient) -> None:
    answer = await web.post("/syncs", data={"kind": "full"}, headers={"X-Request-Id": GIVEN})
    assert answer.status_code == 303
    async with app.state.db.read() as connection:
        run = (await connection.execute(select(sync_runs))).one()
        query = select(audit_log.c.action, audit_log.c.request_id).where(
            audit_log.c.website_id == SITE, audit_log.c.subject_kind == "sync"
        )
        (noted,) = (await connection.execute(query)).all()
    assert run.request_id == GIVEN
    assert tuple(noted) == ("sync.started", GIVEN)
