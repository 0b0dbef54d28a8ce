"""Tokens, limits, idempotency keys, and every error as problem details."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update

from app import clock
from app.accounts.replies import KEPT, api_replies
from app.accounts.tables import audit_log
from app.api.rates import Rates
from app.imports.tables import imports
from app.sync.tables import sync_runs
from app.webhooks.tables import inbox_events
from tests.api.conftest import OTHER, Api, small_app, some_rows
from tests.ingesting import WEBSITE


def is_problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["title"]
    return str(told["detail"])


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic dmlld2Vy", "viewer", "Bearer nobody", "Bearer é"]
)  # fmt: skip
async def test_without_a_token_nothing(api: Api, header: str | None) -> None:  # SPEC P4
    headers = {} if header is None else {"Authorization": header.encode()}
    for path in ("/contacts", "/nothing", "/websites"):
        answer = await api.client.get(f"/api/v1{path}", headers=headers)  # type: ignore[arg-type]
        is_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_the_document_is_open(api: Api) -> None:
    document = (await api.get(None, "/openapi.json")).json()
    assert document["servers"] == [{"url": "/api/v1"}]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["operationId"].isidentifier(), path
            assert len(route["tags"]) == 1, path
            assert route["security"], f"{method} {path}"
            assert "HTTPValidationError" not in str(route)
    assert "Problem" in document["components"]["schemas"]
    names = [r["operationId"] for m in document["paths"].values() for r in m.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/contacts/", 404),
        ("GET", "/contacts/%00", 404),
        ("GET", "/contacts/%0Ax", 404),
        ("GET", "/contacts/nobody", 404),
        ("GET", "/conversations/x/messages", 404),
        ("GET", "/events/%00", 404),
        ("GET", "/websites/%00", 404),
        ("DELETE", "/contacts", 405),
        ("GET", "/contacts?limit=0", 422),
        ("GET", "/contacts?limit=x", 422),
        ("GET", "/contacts?sort=nothing", 422),
        ("GET", "/contacts?q=%00", 422),
        ("GET", "/conversations?updated_since=yesterday", 422),
        ("GET", "/conversations?updated_since=2026-03-02T09:00:00", 422),
        ("GET", "/contacts?website=nothing", 404),
    ],
)
async def test_wrong_requests_are_problems(api: Api, method: str, path: str, status: int) -> None:
    await some_rows(api.here, "acme")
    assert is_problem(await api.ask("viewer", method, path), status)


async def test_a_wrong_field_is_named(api: Api) -> None:
    answer = await api.get("viewer", "/contacts?limit=500")
    assert "query.limit" in is_problem(answer, 422)
    assert answer.json()["errors"][0]["field"] == "query.limit"
    wrong = await api.ask("admin", "POST", "/syncs", content=b"{nonsense")
    is_problem(wrong, 422)
    for no_json in (b"\xff", b"[" * 100_000):
        headers = {"Content-Type": "application/json"}
        told = await api.ask("admin", "POST", "/syncs", content=no_json, headers=headers)
        assert "no JSON in UTF-8" in is_problem(told, 422)
    unknown = await api.ask("admin", "POST", "/syncs", json={"kind": "full", "colour": "red"})
    assert "colour" in is_problem(unknown, 422)
    is_problem(await api.ask("admin", "POST", "/syncs", content=b"x" * (1 << 20) + b"x"), 413)


async def test_roles(api: Api) -> None:  # SPEC P4
    for role, status in (("viewer", 403), ("member", 403), ("admin", 202)):
        answer = await api.ask(role, "POST", "/syncs", json={"kind": "incremental"})
        assert answer.status_code == status, role


async def test_a_sync_is_started_watched_and_stopped(api: Api) -> None:
    started = await api.ask("admin", "POST", "/syncs", json={"kind": "full"})
    assert started.status_code == 202
    path = started.headers["location"].removeprefix("/api/v1")
    run = started.json()
    assert (run["state"], run["started_by"]) == ("queued", "admin")
    again = await api.ask("admin", "POST", "/syncs", json={"kind": "full"})
    assert again.json()["id"] == run["id"]
    paused = await api.ask("admin", "POST", f"{path}/pause")
    assert paused.json()["state"] == "paused"
    is_problem(await api.ask("admin", "POST", f"{path}/pause"), 409)
    assert (await api.ask("admin", "POST", f"{path}/resume")).json()["state"] == "queued"
    assert (await api.ask("admin", "POST", f"{path}/cancel")).json()["state"] == "cancelled"
    assert [row["id"] for row in await api.data("viewer", "/syncs")] == [run["id"]]
    assert (await api.get("viewer", f"{path}/failures")).json()["data"] == []
    assert api.whole.state.rung == ["runs", "runs", "runs"]
    log = await api.here.rows(select(audit_log.c.action, audit_log.c.subject_id))
    assert {(row.action, row.subject_id) for row in log if row.action.startswith("sync.")} == {
        (f"sync.{what}", run["id"]) for what in ("started", "paused", "resumed", "cancelled")
    }
    backfill = {"kind": "backfill", "window_from": "2026-03-01T00:00:00Z"}
    assert "two dates" in is_problem(await api.ask("admin", "POST", "/syncs", json=backfill), 422)


async def runs(api: Api) -> int:
    return len(await api.here.rows(select(sync_runs.c.id)))


async def test_a_key_makes_a_post_happen_once(api: Api) -> None:
    keyed: dict[str, Any] = {
        "headers": {"Idempotency-Key": "one"}, "json": {"kind": "incremental"},
    }  # fmt: skip
    answers = [await api.ask("admin", "POST", "/syncs", **keyed) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert [a.headers.get("idempotent-replayed") for a in answers] == [None, "true", "true"]
    other = keyed | {"json": {"kind": "full"}}
    assert "another request" in is_problem(await api.ask("admin", "POST", "/syncs", **other), 422)
    # Another token's keys are its own.
    assert (await api.ask("admin-all", "POST", f"/syncs?website={WEBSITE}", **other)).is_success
    assert await runs(api) == 2
    await api.here.execute(update(api_replies).values(created_at=clock.now() - KEPT * 1.1))
    assert "idempotent-replayed" not in (await api.ask("admin", "POST", "/syncs", **keyed)).headers


async def test_at_the_same_time_one_of_them_does_it(api: Api) -> None:
    keyed: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}, "json": {"kind": "full"}}
    answers = await asyncio.gather(*(api.ask("admin", "POST", "/syncs", **keyed) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    first = [a for a in answers if a.status_code == 202 and "idempotent-replayed" not in a.headers]
    assert len(first) == 1


async def test_a_refusal_is_an_answer_too_and_a_bad_key_is_none(api: Api) -> None:
    keyed: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}, "json": {"kind": "backfill"}}
    for _ in range(2):
        is_problem(await api.ask("admin", "POST", "/syncs", **keyed), 422)
    for key in ("", "k" * 201):
        bad = keyed | {"headers": {"Idempotency-Key": key}}
        assert "Idempotency-Key" in is_problem(await api.ask("admin", "POST", "/syncs", **bad), 422)


async def test_a_token_that_asks_too_much_waits(api: Api) -> None:
    app = small_app(api.here.db, per_minute=3)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x.example") as client:

        async def ask(token: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return await client.get("/api/v1/websites", headers=headers)

        told = [await ask("viewer") for _ in range(4)]
        assert [answer.status_code for answer in told] == [200, 200, 200, 429]
        assert told[0].headers["ratelimit"].startswith('"token";r=2;t=')
        assert told[0].headers["ratelimit-policy"] == '"token";q=3;w=60'
        assert "in a minute" in is_problem(told[3], 429)
        assert 1 <= int(told[3].headers["retry-after"]) <= 61
        assert (await ask("member")).status_code == 200, "each token has its own"


def test_the_next_minute_is_another() -> None:
    now = 60.0
    rates = Rates(2, clock=lambda: now)
    assert [rates.count("a").left for _ in range(3)] == [1, 0, -1]
    now = 120.0
    assert rates.count("a").left == 1


OF_NO_WEBSITE = {"/websites", "/alerts/targets", "/imports/sample.csv", "/setup"}
NEEDED: dict[str, dict[str, Any]] = {
    "/merge": {"into": "x"},
    "/link": {"contact_id": "x", "decision": "pin"},
    "/layout": {"encoding": "utf-8", "separator": ",", "header": True},
    "/commit": {"plan_hash": "x"},
    "/mapping": {"overrides": {}},
    "/disconnect": {"data": "keep"},
    "/erase": {"confirm": "erase"},
}


def body_for(path: str, route: dict[str, Any]) -> dict[str, Any]:
    """What a request to that address needs so that it is understood, as arguments of httpx."""
    end = "/" + path.rpartition("/")[2]
    return {"json": NEEDED.get(end, {})} if "requestBody" in route else {}


async def test_case_091_what_a_token_does_not_see_is_not_there(api: Api) -> None:
    """Every route that takes an id, with the ids of another website."""
    await some_rows(api.there, "bolt")
    run = await api.ask("admin-all", "POST", f"/syncs?website={OTHER}", json={"kind": "full"})
    ids = {
        "website_id": OTHER,
        "contact_id": (await api.there.contact("ann-bolt")).id,
        "company_id": (await api.data("viewer-all", "/companies", website=OTHER))[0]["id"],
        "conversation_id": (await api.there.conversation("t1-bolt")).id,
        "fingerprint": "1",
        "sync_id": run.json()["id"],
        "import_id": "11111111-0000-4000-8000-000000000001",
        "event_id": "0" * 64,
        "what": "cancel",
        "merge_id": "11111111-0000-4000-8000-000000000002",
        "domain": "bolt.example",
        "line": "1",
        "target_id": "11111111-0000-4000-8000-000000000004",
        "remedy_id": "11111111-0000-4000-8000-000000000003",
    }
    document = (await api.get(None, "/openapi.json")).json()
    crawled = 0
    for path, methods in document["paths"].items():
        for method in methods:
            if "{noun}" in path:
                elsewhere = await api.get(
                    "admin", path.format(noun="contacts") + f"?website={OTHER}"
                )
                is_problem(elsewhere, 404)
            elif "{" in path:
                body = body_for(path, methods[method])
                # A domain is no id: which website it is of has to be said.
                ids["what"] = "pause" if path.startswith("/websites") else "cancel"
                asked = path.format(**ids) + (f"?website={OTHER}" if "{domain}" in path else "")
                for token in ("admin", "admin-none"):
                    answer = await api.ask(token, method.upper(), asked, **body)
                    is_problem(answer, 404)
                crawled += 1
            elif method == "get":
                needed = {
                    one["name"]: one["schema"].get("enum", ["x"])[0]
                    for one in methods[method].get("parameters", ())
                    if one["required"] and one["in"] == "query"
                }
                elsewhere = await api.get("admin", path, params={"website": OTHER, **needed})
                assert elsewhere.status_code == (200 if path in OF_NO_WEBSITE else 404), path
                assert OTHER not in elsewhere.text
    assert crawled >= 12


async def test_an_import_is_listed_and_undone(api: Api) -> None:
    row: dict[str, Any] = {
        "website_id": WEBSITE, "id": "imp-1", "state": "done", "mode": "merge", "counts": {"rows": 2},
        "created_at": clock.now(), "created_by": "Mira", "file_name": "people.csv", "file_size": 10,
        "layout": {}, "columns": [], "options": {}, "checkpoint": {}, "lease_epoch": 0,
        "lease_until_ms": 0,
    }  # fmt: skip
    await api.here.execute(insert(imports).values(row))
    (told,) = await api.data("viewer", "/imports")
    assert (told["file_name"], told["counts"]) == ("people.csv", {"rows": 2})
    is_problem(await api.ask("viewer", "POST", "/imports/imp-1/undo"), 403)
    undone = await api.ask("member", "POST", "/imports/imp-1/undo")
    assert (undone.status_code, undone.json()["state"]) == (202, "undoing")
    assert (await api.get("viewer", "/imports/imp-1")).json()["state"] == "undoing"
    assert (await api.ask("member", "POST", "/imports/imp-1/undo")).status_code in {409, 422}


async def test_dead_letters_are_applied_again(api: Api) -> None:
    for n, (state, site) in enumerate((("dead", WEBSITE), ("done", WEBSITE), ("dead", OTHER))):
        row = {
            "id": f"{n:064x}", "website_id": site, "event": "message:send", "state": state,
            "attempts": 5, "deliveries": 1, "error": "x", "received_at": clock.now(), "body": b"{}",
        }  # fmt: skip
        known = {name: value for name, value in row.items() if name in inbox_events.c}
        await api.here.execute(insert(inbox_events).values(known))
    assert (await api.ask("viewer", "POST", "/events/replay", json={})).status_code == 403
    told = await api.ask("member", "POST", "/events/replay", json={})
    assert told.json() == {"put_back": 1, "without_body": 0}, told.text
    assert api.whole.state.rung == ["hooks"]
    states = {row["state"] for row in await api.data("viewer", "/events")}
    assert states == {"new", "done"}
    endless = await api.ask("member", "POST", "/events/replay", json={"state": "any"})
    assert "since" in is_problem(endless, 422)
    since = {"state": "done", "since": "2020-01-01T00:00:00Z"}
    assert (await api.ask("member", "POST", "/events/replay", json=since)).json()["put_back"] == 1
    (theirs,) = await api.data("viewer-all", "/events", website=OTHER)
    assert theirs["state"] == "dead"


ENDS_OF_TIME = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z")


@pytest.mark.parametrize("moment", ENDS_OF_TIME)
async def test_a_moment_at_the_ends_of_the_calendar_is_refused_wherever_one_is_asked_for(
    api: Api, moment: str
) -> None:
    document = (await api.get(None, "/openapi.json")).json()
    asked = 0
    for path, methods in document["paths"].items():
        for one in methods.get("get", {}).get("parameters", ()):
            if "date-time" in str(one["schema"]):
                given = {one["name"]: moment} | (
                    {"by": "week", "key": "x"} if "behind" in path else {}
                )
                is_problem(
                    await api.get("admin", path.replace("{noun}", "conversations"), params=given),
                    422,
                )
                asked += 1
    assert asked >= 10
    ann = {"name": "Ann", "last_active_at": moment}
    joined = {"name": "Ann", "joins": [{"name": "Acme", "since": moment}]}
    window = {"kind": "backfill", "window_from": moment, "window_to": "2026-03-01T00:00:00Z"}
    for path, body in (
        ("/events/replay", {"state": "dead", "since": moment}), ("/contacts", ann),
        ("/contacts", joined), ("/contacts", {"joins": [{"name": "Acme", "since": moment[:10]}]}),
        ("/syncs", window), ("/syncs/preview", {**window, "kind": None}),
    ):  # fmt: skip
        sent = {name: value for name, value in body.items() if value is not None}
        is_problem(await api.ask("admin", "POST", path, json=sent), 422)
