"""What a supervisor and a monitor read, and who may (CONTRACT, HTTP)."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from app.main import create_app
from app.probes.loop_lag import LoopLag
from app.settings import Settings
from tests.pulling import sandbox_and_crispsync

MINUTE = 60_000


def client(app: FastAPI, address: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def test_metrics_tell_of_the_whole_deployment(database_url: str) -> None:
    async with sandbox_and_crispsync(
        database_url, people=5, conversations=8, frozen=True, others=()
    ) as crisp:
        crisp.world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(10 * MINUTE)
        assert await crisp.run("audit", sample={"sample": "all"}) == "done"
        await crisp.claim("incremental")
        own = crisp.website_id
    app = create_app(Settings(_env_file=None, database_url=database_url))
    async with app.router.lifespan_context(app), client(app) as web:
        answer = await web.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        found = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
    assert found["crispsync_runs", "incremental", "running"] == 1
    assert found["crispsync_audit_drifted", own] == 0
    assert 0 <= found["crispsync_sync_age_seconds", own] < 3600
    assert found["crispsync_websites", "connected"] == 1
    assert found["crispsync_hooks", "waiting"] == found["crispsync_hooks", "dead"] == 0
    assert found["crispsync_hook_lag_seconds",] == 0
    assert found["crispsync_quota_limit",] == 5000
    assert found["crispsync_pool_connections", "in_use"] >= 0
    assert found["crispsync_loop_lag_seconds",] >= 0


@pytest.mark.parametrize(
    ("address", "headers", "token", "status"),
    [
        ("127.0.0.1", {}, None, 200),
        ("::1", {}, None, 200),
        ("10.0.0.7", {}, None, 403),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, None, 403),
        ("10.0.0.7", {"Authorization": "Bearer scrape-me"}, "scrape-me", 200),
        ("127.0.0.1", {}, "scrape-me", 403),
        ("127.0.0.1", {"Authorization": "Bearer scrape-mé"}, "scrape-me", 403),
    ],
)
async def test_figures_are_for_this_machine_or_by_token(
    address: str, headers: dict[str, str], token: str | None, status: int
) -> None:
    from fastapi import Request

    from app.probes.routes import may_read

    scope = {
        "type": "http",
        "client": (address, 1),
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }
    settings = Settings(_env_file=None, metrics_token=SecretStr(token) if token else None)
    assert may_read(Request(scope), settings) is (status == 200)


async def test_case_022_ready_without_redis_and_says_so(database_url: str) -> None:
    settings = Settings(_env_file=None, database_url=database_url, redis_url="redis://127.0.0.1:1")
    app = create_app(settings)
    async with app.router.lifespan_context(app), client(app) as web:
        ready = await web.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["redis"].startswith("away")


async def test_ready_with_redis(redis_url: str, database_url: str) -> None:
    app = create_app(Settings(_env_file=None, database_url=database_url, redis_url=redis_url))
    async with app.router.lifespan_context(app), client(app) as web:
        assert (await web.get("/readyz")).json()["redis"] == "ready"


async def test_case_086_a_blocked_loop_shows() -> None:
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0.01)
    time.sleep(0.6)  # noqa: ASYNC251  # the fault
    while not lag.lags:
        await asyncio.sleep(0.01)
    watching.cancel()
    assert lag.worst >= 0.3
