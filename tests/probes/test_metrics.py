"""Each figure of /metrics is moved by what it tells of, and read as Prometheus reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import update

from app import clock
from app.main import create_app
from app.sandbox.hook_collector import collected_hooks
from app.sandbox.hook_signing import signed_headers
from app.sandbox.message_changes import send_message
from app.settings import Settings
from app.sync.processes import beat
from app.sync.worker import Worker
from app.webhooks.apply import apply_waiting
from app.webhooks.receive import PATH
from app.webhooks.tables import inbox_events
from tests.beside import sandbox_beside, until
from tests.fixtures.people import log_in_as
from tests.fixtures.program import Program
from tests.flows.steps import until as wait_until
from tests.probes.test_probes import client
from tests.pulling import Crispsync, sandbox_and_crispsync

SECRET = "0123456789abcdef0123456789abcdef"
Figures = dict[tuple[str, ...], float]


def read(text: str) -> Figures:
    """(name of the sample, label=value, …) to its number."""
    return {
        (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def figures(web: httpx.AsyncClient) -> Figures:
    answer = await web.get("/metrics")
    assert answer.status_code == 200
    return read(answer.text)


def app_of(crisp: Crispsync) -> FastAPI:
    return create_app(
        Settings(
            database_url=str(crisp.db.engine.url.render_as_string(hide_password=False)),
            crisp_identifier=crisp.world.identifier,
            crisp_key=SecretStr(crisp.world.key),
            crisp_signing_secret=SecretStr(SECRET),
            crisp_daily_quota=1_000_000,
        )
    )


async def send(web: httpx.AsyncClient, crisp: Crispsync, body: bytes, secret: str = SECRET) -> int:
    headers = signed_headers(
        secret, "plugin/rtm", body, timestamp_ms=crisp.world.clock.now(), attempt=1, limit=3
    )
    return (await web.post(PATH, content=body, headers=headers)).status_code


def hook_body(crisp: Crispsync, event: str, data: Mapping[str, Any] | None) -> bytes:
    hook = {"website_id": crisp.website_id, "event": event, "data": data}
    return json.dumps({**hook, "timestamp": crisp.world.clock.now()}).encode()


async def test_hooks_move_their_figures(database_url: str) -> None:
    async with sandbox_and_crispsync(
        database_url, people=4, conversations=6, frozen=True, others=()
    ) as crisp:
        assert await crisp.run("full") == "done"
        app = app_of(crisp)
        async with app.router.lifespan_context(app), client(app) as web:
            with collected_hooks(crisp.world) as hooks:
                for number in range(3):
                    send_message(crisp.world, crisp.world.main, 1, f"Question {number}")
                bodies = [hook.body for hook in hooks.take()]
            event = json.loads(bodies[0])["event"]
            for body in bodies:
                assert await send(web, crisp, body) == 200
            # As if they had been taken a hundred seconds ago, but today.
            now = clock.now()
            begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
            then = max(begin, now - timedelta(seconds=100))
            waited = (now - then).total_seconds()
            async with crisp.db.write() as connection:
                await connection.execute(update(inbox_events).values(received_at=then))
            found = await figures(web)
            assert found["crispsync_hooks", "state=waiting"] == len(bodies)
            assert waited - 1 <= found["crispsync_hook_lag_seconds",] < 1000
            assert ("crispsync_hooks_today", f"event={event}", "result=arrived") not in found
            assert ("crispsync_hook_delay_seconds", "quantile=0.5") not in found

            await apply_waiting(crisp.db)
            found = await figures(web)
            today = sum(
                number
                for key, number in found.items()
                if key[0] == "crispsync_hooks_today" and "result=arrived" in key
            )
            assert today == len(bodies)
            assert found["crispsync_hooks_today", f"event={event}", "result=arrived"] >= 3
            assert found["crispsync_hooks", "state=waiting"] == 0
            assert found["crispsync_hook_lag_seconds",] == 0
            for quantile in ("0.5", "0.95"):
                # Kept in steps of 12 %.
                delay = found["crispsync_hook_delay_seconds", f"quantile={quantile}"]
                assert 0.88 * waited <= delay < 1000

            strange = 'a "b" \\ c\nd'
            assert await send(web, crisp, hook_body(crisp, strange, {})) == 200
            assert await send(web, crisp, hook_body(crisp, "message:send", None)) == 200
            await apply_waiting(crisp.db)
            found = await figures(web)
            assert found["crispsync_hooks", "state=dead"] == 1
            assert found["crispsync_hooks_today", "event=message:send", "result=dead"] == 1
            ignored = {
                key[1]: number
                for key, number in found.items()
                if key[0] == "crispsync_hooks_today" and "result=ignored" in key and number
            }
            assert ignored == {f"event={strange}": 1}, "an escaped label is read as it was"


async def test_refused_hooks_are_a_counter_by_cause(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=2, conversations=2, others=()) as crisp:
        app = app_of(crisp)
        async with app.router.lifespan_context(app), client(app) as web:
            assert not [key for key in await figures(web) if key[0].startswith("crispsync_hooks_r")]
            for number in range(1, 3):
                body = hook_body(crisp, "message:send", {"n": number})
                assert await send(web, crisp, body, secret="0" * 32) == 403
                # It does this by itself every few seconds.
                await app.state.hook_receiver._refusals.flush()
                found = await figures(web)
                assert found["crispsync_hooks_refused_total", "cause=signature_wrong"] == number
            answer = await web.post(PATH, content=b"{}", headers={"Content-Type": "text/plain"})
            assert answer.status_code == 415
            await app.state.hook_receiver._refusals.flush()
            found = await figures(web)
            assert found["crispsync_hooks_refused_total", "cause=content_type"] == 1
            assert found["crispsync_hooks_refused_total", "cause=signature_wrong"] == 2


async def test_requests_to_crisp_and_its_pause_move_the_quota(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=4, conversations=6, others=()) as crisp:
        app = app_of(crisp)
        async with app.router.lifespan_context(app), client(app) as web:
            used = []
            for kind in ("full", "incremental"):
                assert await crisp.run(kind) == "done"
                await crisp.client.budget.give_back()
                found = await figures(web)
                used.append(found["crispsync_quota_used",])
                assert used[-1] == crisp.world.counters.total
                assert found["crispsync_quota_limit",] == 1_000_000
                assert found["crispsync_quota_paused",] == 0
            assert 0 < used[0] < used[1]
            crisp.world.faults.add("status", status=423, retry_after=7200)
            assert await crisp.run("full") == "paused"
            found = await figures(web)
            assert found["crispsync_quota_paused",] == 1
            assert found["crispsync_runs", "kind=full", "state=paused"] == 1


async def test_processes_pool_and_loop(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=2, conversations=2, others=()) as crisp:
        app = app_of(crisp)
        async with app.router.lifespan_context(app), client(app) as web:
            found = await figures(web)
            assert found["crispsync_processes",] == 0
            worker = Worker(crisp.db, app.state.settings)
            await crisp.db.transact(lambda c: beat(c, worker, "worker-1"))
            in_use = ("crispsync_pool_connections", "state=in_use")
            async with app.state.db.read(), app.state.db.read():
                found = await figures(web)
            assert found["crispsync_processes",] == 1
            assert found[in_use] >= 2
            # The app's own loops take one for a moment, now and then.
            assert min([(await figures(web))[in_use] for _ in range(10)]) == 0

            lags = app.state.loop_lag.lags
            await wait_until(lambda: lags)
            time.sleep(0.6)  # noqa: ASYNC251  # the fault
            await wait_until(lambda: max(lags) >= 0.3)
            assert (await figures(web))["crispsync_loop_lag_seconds",] >= 0.3


async def test_case_093_requests_are_counted_by_the_templates_of_routes(sqlite_url: str) -> None:
    """However many addresses are asked for: a stranger cannot make more series (SPEC P7)."""
    async with sandbox_and_crispsync(sqlite_url, people=2, conversations=2, others=()) as crisp:
        app = app_of(crisp)
        async with app.router.lifespan_context(app), client(app) as web:
            await web.get("/contacts/ann@acme.example")
            (await log_in_as(app.state.db)).give(web)
            for number in range(3):
                await web.get(f"/contacts/ann{number}@acme.example?q=ann@acme.example")
                await web.get(f"/nothing/ann{number}@acme.example")
                await web.get(f"/api/v1/contacts/ann{number}@acme.example")
                await web.request(f"BREW{number}", "/login")
            await web.get("/static/style.css")
            await send(web, crisp, hook_body(crisp, "message:send", {}), secret="0" * 32)
            await web.get("/healthz")
            await web.get("/metrics")
            answer = await web.get("/metrics")
            found = read(answer.text)
            counted = {
                key[1:]: number
                for key, number in found.items()
                if key[0] == "crispsync_request_seconds_count"
            }
            assert counted == {
                # Whom the door sends to the login has not been led anywhere.
                ("method=GET", "route=none", "status=303"): 1,
                ("method=GET", "route=/contacts/{contact_id}", "status=404"): 3,
                ("method=GET", "route=none", "status=404"): 3,
                ("method=GET", "route=/api/v1", "status=401"): 3,
                ("method=other", "route=/login", "status=405"): 3,
                ("method=GET", "route=/static", "status=200"): 1,
                ("method=POST", "route=/webhooks/crisp", "status=403"): 1,
                ("method=GET", "route=/healthz", "status=200"): 1,
                ("method=GET", "route=/metrics", "status=200"): 1,
            }
            assert "ann" not in answer.text.replace("cannot", "")
            for key in counted:
                assert found["crispsync_request_seconds_sum", *key] > 0


async def test_each_family_has_a_type_and_says_what_it_is(sqlite_url: str) -> None:
    async with sandbox_and_crispsync(sqlite_url, people=2, conversations=2, others=()) as crisp:
        assert await crisp.run("full") == "done"
        app = app_of(crisp)
        async with app.router.lifespan_context(app), client(app) as web:
            answer = await web.get("/metrics")
            families: list[Metric] = list(text_string_to_metric_families(answer.text))
    kinds = {family.name.removeprefix("crispsync_"): family.type for family in families}
    totals = {"hooks_refused", "warnings"}
    assert {name for name, kind in kinds.items() if kind == "counter"} == totals
    assert {name for name, kind in kinds.items() if kind == "summary"} == {"request_seconds"}
    assert set(kinds.values()) == {"counter", "summary", "gauge"}
    # Issue 7 names these: intake, delay, lag, runs, requests, quota, errors by class, pool, loop lag.
    assert kinds.keys() >= {
        "hooks_today", "hook_delay_seconds", "hook_lag_seconds", "hooks", "runs",
        "sync_age_seconds", "audit_drifted", "audit_repaired", "request_seconds", "quota_used",
        "quota_limit", "quota_paused", "pool_connections", "loop_lag_seconds", "processes",
        "websites",
    }  # fmt: skip
    assert all(family.name.startswith("crispsync_") for family in families)
    assert all(family.documentation for family in families)


def test_a_process_counts_its_warnings_by_class(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(people=2, conversations=2, others=()) as box:
        env = box.connected(sqlite_url)
        box.world.faults.add("status", status=401, reason="invalid_session")
        server = program.start("serve", "--port", "0", env=env)
        url = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
        key = "crispsync_warnings_total", "error=AuthRejected", "event=websites.not_compared"
        assert until(lambda: read(httpx.get(f"{url}/metrics").text).get(key)) == 1
