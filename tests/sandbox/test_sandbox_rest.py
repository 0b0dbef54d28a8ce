"""The REST API of the sandbox: credentials, envelope, codes, parameters, routes."""

import json

import httpx
import pytest

from app.sandbox import truth
from app.sandbox.clock import iso
from app.sandbox.serve import serve
from app.sandbox.world import World
from tests.sandbox.walks import pages, rows_of, walk_back, walk_forward


@pytest.mark.parametrize(
    ("auth", "headers", "reason"),
    [
        (("x", "y"), {"X-Crisp-Tier": "plugin"}, "invalid_session"),
        (None, {"X-Crisp-Tier": ""}, "invalid_session"),
        (None, {"X-Crisp-Tier": "user"}, "restricted_route_tier"),
        (None, {"X-Crisp-Tier": "website"}, "restricted_route_tier"),
    ],
)
async def test_wrong_credentials(
    crisp: httpx.AsyncClient, auth: tuple[str, str] | None, headers: dict[str, str], reason: str
) -> None:
    answer = await crisp.get("/plugin/connect/account", auth=auth or crisp.auth, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"error": True, "reason": reason, "data": {}}


async def test_headers_are_of_the_worlds_clock(crisp: httpx.AsyncClient, world: World) -> None:
    answer = await crisp.get("/plugin/connect/account")
    assert answer.json() == {
        "error": False,
        "reason": "resolved",
        "data": {"plugin_id": world.plugin_id},
    }
    assert answer.headers["date"] == "Mon, 21 Sep 2026 14:13:20 GMT"
    assert answer.headers["bloom-status"] == "MISS"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_writes_are_refused_and_recorded(
    crisp: httpx.AsyncClient, world: World, method: str
) -> None:
    answer = await crisp.request(method, f"/website/{world.website_id}/conversation")
    assert answer.status_code == 405
    assert world.counters.refused_writes == [(method, f"/website/{world.website_id}/conversation")]


async def test_what_is_not_there(crisp: httpx.AsyncClient, world: World) -> None:
    site = f"/website/{world.website_id}"
    not_installed = [s.website_id for s in world.sites.values() if not s.installed]
    for path, reason in (
        ("/nothing/here", "not_found"),
        (f"{site}/conversation/session_0/messages", "not_found"),
        (f"{site}/conversation/{world.main.session_id(0)[:-1]}f", "not_found"),
        (f"{site}/people/profile/{world.plugin_id}", "not_found"),
        (f"{site}/people/profile/nobody%40nowhere.example", "not_found"),
        (f"{site}/conversation/{world.main.session_id(0)}/message/1", "not_found"),
        (f"/website/{not_installed[0]}", "not_subscribed"),
        ("/website/00000000-0000-4000-8000-000000000000/conversations/1", "not_subscribed"),
    ):
        answer = await crisp.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (404, reason), path


@pytest.mark.parametrize(
    "query",
    [
        "conversations/0", "conversations/x", "conversations/-1", "conversations/1?per_page=19",
        "conversations/1?per_page=51", "conversations/1?per_page=many",
        "conversations/1?include_empty=true", "conversations/1?order_date_updated=desc",
        "conversations/1?filter_date_start=yesterday", "conversations/1?search_query=x",
        "conversations/1?filter_date_end=2024-02-30T00:00:00.000Z", "people/profiles/0",
        "people/profiles/1?sort_field=updated_at", "people/profiles/1?sort_order=up",
        "conversation/SESSION/messages?timestamp_before=1&timestamp_after=1",
        "conversation/SESSION/messages?timestamp_before=soon",
        "conversation/SESSION/message/abc",
    ],
)  # fmt: skip
async def test_wrong_parameters(crisp: httpx.AsyncClient, world: World, query: str) -> None:
    query = query.replace("SESSION", world.main.session_id(1))
    answer = await crisp.get(f"/website/{world.website_id}/{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_data")


async def test_page_past_the_end_is_empty(crisp: httpx.AsyncClient, world: World) -> None:
    for path in ("conversations/99", "people/profiles/99"):
        answer = await crisp.get(f"/website/{world.website_id}/{path}")
        assert (answer.status_code, rows_of(answer)) == (200, [])


async def test_conversation_pages_equal_the_truth(crisp: httpx.AsyncClient, world: World) -> None:
    path = f"/website/{world.website_id}/conversations"
    rows = await pages(crisp, path, include_empty=1, order_date_updated=1)
    assert [row["updated_at"] for row in rows] == sorted(
        (row["updated_at"] for row in rows), reverse=True
    )
    truths = {row["session_id"]: row for row in truth.conversations(world)}
    assert {row["session_id"] for row in rows} == set(truths)
    for row in rows:
        assert row["state"] == truths[row["session_id"]]["state"]
        assert row["created_at"] <= row["updated_at"] <= world.clock.now()
    filled = await pages(crisp, path)
    assert {row["session_id"] for row in filled} == {
        key for key, row in truths.items() if row["messages"]
    }


async def test_date_filter_is_inclusive_at_both_ends(
    crisp: httpx.AsyncClient, world: World
) -> None:
    path = f"/website/{world.website_id}/conversations"
    order = [row["updated_at"] for row in await pages(crisp, path, include_empty=1)]
    newest, oldest = order[20], order[60]
    window = {"filter_date_start": iso(oldest), "filter_date_end": iso(newest)}
    rows = await pages(crisp, path, include_empty=1, **window)
    expected = [at for at in order if oldest <= at <= newest]
    assert [row["updated_at"] for row in rows] == expected


async def test_order_and_filters(crisp: httpx.AsyncClient, world: World) -> None:
    path = f"/website/{world.website_id}/conversations"
    by_creation = await pages(crisp, path, order_date_created=1)
    created = [row["created_at"] for row in by_creation]
    assert created == sorted(created, reverse=True)
    open_ones = await pages(crisp, path, filter_not_resolved=1)
    assert open_ones
    assert all(row["state"] != "resolved" for row in open_ones)


async def test_messages_walked_both_ways_equal_the_truth(
    crisp: httpx.AsyncClient, world: World
) -> None:
    for i in (*range(30), 23, 97):
        session = world.main.session_id(i)
        path = f"/website/{world.website_id}/conversation/{session}/messages"
        truths = {m["fingerprint"]: m for m in truth.messages(world, session_id=session)}
        for walk in (walk_back, walk_forward):
            seen = await walk(crisp, path)
            assert {m["fingerprint"] for m in seen} == set(truths)
            assert all(m["content"] == truths[m["fingerprint"]]["content"] for m in seen)


async def test_batches_around_a_moment(crisp: httpx.AsyncClient, world: World) -> None:
    session = world.main.session_id(23)
    path = f"/website/{world.website_id}/conversation/{session}"
    middle = world.main.rows(23)[150][0]
    answer = await crisp.get(f"{path}/messages", params={"timestamp_around": middle})
    rows = rows_of(answer)
    assert (answer.status_code, len(rows)) == (206, 40)
    assert rows[0]["timestamp"] < middle <= rows[-1]["timestamp"]
    one = await crisp.get(f"{path}/message/{rows[3]['fingerprint']}")
    assert one.json()["data"] == rows[3]


async def test_people_pages_and_single_profiles(crisp: httpx.AsyncClient, world: World) -> None:
    site = f"/website/{world.website_id}"
    rows = await pages(crisp, f"{site}/people/profiles", sort_order="ascending")
    assert [row["people_id"] for row in rows] == [p["people_id"] for p in truth.people(world)]
    stats = await crisp.get(f"{site}/people/stats")
    assert stats.json()["data"] == {"total": len(rows)}
    names = [
        (row["person"].get("nickname") or "")
        for row in await pages(crisp, f"{site}/people/profiles", sort_field="nickname")
    ]
    assert names == sorted(names, reverse=True)
    person = rows[3]
    for ident in (person["people_id"], person["email"].upper().replace("@", "%40")):
        answer = await crisp.get(f"{site}/people/profile/{ident}")
        assert answer.json()["data"] == person
    data = await crisp.get(f"{site}/people/data/{person['people_id']}")
    assert set(data.json()["data"]) == {"data"}


async def test_sessions_of_a_person(crisp: httpx.AsyncClient, world: World) -> None:
    owned: dict[str, set[str]] = {}
    for row in truth.conversations(world):
        if row["rule"] == "people_id":
            owned.setdefault(row["owner"], set()).add(row["session_id"])
    people = max(owned, key=lambda key: len(owned[key]))
    path = f"/website/{world.website_id}/people/conversations/{people}/list"
    answer = await crisp.get(f"{path}/1")
    first = rows_of(answer)
    second = rows_of(await crisp.get(f"{path}/2"))
    assert set(first) | set(second) <= owned[people]
    assert len(first) == min(20, len(owned[people]))


async def test_meta_and_state_are_parts_of_the_conversation(
    crisp: httpx.AsyncClient, world: World
) -> None:
    session = world.main.session_id(30)
    path = f"/website/{world.website_id}/conversation/{session}"
    whole = (await crisp.get(path)).json()["data"]
    assert (await crisp.get(f"{path}/meta")).json()["data"] == whole["meta"]
    assert (await crisp.get(f"{path}/state")).json()["data"] == {"state": whole["state"]}


async def test_head_where_crisp_has_it(crisp: httpx.AsyncClient, world: World) -> None:
    site = f"/website/{world.website_id}"
    for path, status in (
        (f"{site}/conversation/{world.main.session_id(1)}", 200),
        (f"{site}/conversation/session_x", 404),
        (f"{site}/people/profile/{world.main.people_id(1)}", 200),
        ("/plugin/connect/session", 200),
        (f"{site}/conversations/1", 405),
    ):
        answer = await crisp.head(path)
        assert (answer.status_code, answer.content) == (status, b"")


async def test_plugin_routes(crisp: httpx.AsyncClient, world: World) -> None:
    installed = {s.website_id for s in world.sites.values() if s.installed}
    rows = rows_of(await crisp.get("/plugin/connect/websites/all/1?include_plan=1"))
    assert {row["website_id"] for row in rows} == installed
    assert all(row["token"] and row["plan"] for row in rows)
    assert rows_of(await crisp.get("/plugin/connect/websites/all/2")) == []
    since = "/plugin/connect/websites/since?date_since=2020-01-01T00:00:00Z"
    assert {row["difference"] for row in rows_of(await crisp.get(since))} == {"linked"}
    one = f"/plugins/subscription/{world.website_id}/{world.plugin_id}"
    assert (await crisp.get(one)).json()["data"]["active"] is True
    assert (await crisp.get(f"{one}/settings")).json()["data"]["token"] == world.main.token
    answer = await crisp.get("/plugins/subscription")
    assert (answer.status_code, answer.json()["reason"]) == (403, "restricted_route_tier")
    operators = rows_of(await crisp.get(f"/website/{world.website_id}/operators/list"))
    assert 5 <= len(operators) <= 8


async def test_websites_do_not_share_records(crisp: httpx.AsyncClient, world: World) -> None:
    second = list(world.sites.values())[1]
    session = world.main.session_id(1)
    answer = await crisp.get(f"/website/{second.website_id}/conversation/{session}")
    assert answer.status_code == 404
    rows = await pages(crisp, f"/website/{second.website_id}/conversations", include_empty=1)
    assert len(rows) == 120


async def test_over_real_http(world: World) -> None:
    async with (
        serve(world) as url,
        httpx.AsyncClient(
            base_url=url,
            auth=(world.identifier, world.key),
            headers={"X-Crisp-Tier": "plugin"},
        ) as crisp,
    ):
        rows = await pages(crisp, f"/website/{world.website_id}/conversations", include_empty=1)
        assert len(rows) == 500
        answer = await crisp.get(f"/website/{world.website_id}/people/profiles/1")
        assert len(answer.headers.get_list("date")) == 1
        body = json.loads(answer.content)
        assert len(body["data"]) == 20
        head = await crisp.head("/plugin/connect/session")
        assert head.status_code == 200
