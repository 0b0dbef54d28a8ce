"""The faults: each makes its trouble, only where and as often as told, and can be taken back."""

import json
import time

import httpx
import pytest

from app.sandbox.churn import make
from app.sandbox.clock import DAY, HOUR
from app.sandbox.conversation_changes import begin_conversation
from app.sandbox.faults import NAMES
from app.sandbox.installs import reinstall, uninstall
from app.sandbox.serve import serve
from app.sandbox.world import World
from tests.sandbox.walks import pages, rows_of


@pytest.fixture
def lists(world: World) -> str:
    return f"/website/{world.website_id}/conversations"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 420, 423, 429, 500, 502, 503])
async def test_status(crisp: httpx.AsyncClient, world: World, lists: str, status: int) -> None:
    world.faults.add("status", status=status, count=2)
    for expected in (status, status, 206):
        assert (await crisp.get(f"{lists}/1")).status_code == expected


async def test_retry_after_only_when_asked_for(
    crisp: httpx.AsyncClient, world: World, lists: str
) -> None:
    world.faults.add("status", status=429, retry_after=7, count=1)
    assert (await crisp.get(f"{lists}/1")).headers["retry-after"] == "7"
    world.faults.add("status", status=420, count=1)
    answer = await crisp.get(f"{lists}/1")
    assert "retry-after" not in answer.headers
    assert answer.json()["reason"] == "rate_limited"


async def test_filters_of_a_fault(crisp: httpx.AsyncClient, world: World, lists: str) -> None:
    session = world.main.session_id(1)
    path = f"/website/{world.website_id}/conversation/{session}"
    world.faults.add("status", status=403, route="*/people/*")
    world.faults.add("status", status=404, match=session)
    assert (await crisp.get(f"{lists}/1")).status_code == 206
    assert (await crisp.get(f"/website/{world.website_id}/people/stats")).status_code == 403
    assert (await crisp.get(path)).json()["reason"] == "not_found"
    assert world.faults.clear("status") == 2
    assert (await crisp.get(path)).status_code == 200


async def test_probability(crisp: httpx.AsyncClient, world: World, lists: str) -> None:
    world.faults.add("status", status=500, probability=0.5)
    codes = [(await crisp.get(f"{lists}/1")).status_code for _ in range(60)]
    assert 10 < codes.count(500) < 50


async def test_html_and_error_with_status_200(
    crisp: httpx.AsyncClient, world: World, lists: str
) -> None:
    world.faults.add("html_200", count=1)
    assert (await crisp.get(f"{lists}/1")).headers["content-type"].startswith("text/html")
    world.faults.add("error_200", count=1)
    answer = await crisp.get(f"{lists}/1")
    assert (answer.status_code, answer.json()["error"]) == (200, True)
    world.faults.add("wrong_content_type", count=1)
    assert (await crisp.get(f"{lists}/1")).headers["content-type"] == "text/plain"


async def test_empty_page_in_the_middle_once(
    crisp: httpx.AsyncClient, world: World, lists: str
) -> None:
    world.faults.add("empty_page", page=2, count=1)
    assert len(rows_of(await crisp.get(f"{lists}/1"))) == 20
    answer = await crisp.get(f"{lists}/2")
    assert (answer.status_code, rows_of(answer)) == (206, [])
    assert len(rows_of(await crisp.get(f"{lists}/2"))) == 20


async def test_deep_pages(crisp: httpx.AsyncClient, world: World, lists: str) -> None:
    world.faults.add("deep_refused", page=3)
    assert (await crisp.get(f"{lists}/3")).status_code == 206
    assert (await crisp.get(f"{lists}/4")).status_code == 400
    world.faults.clear()
    world.faults.add("deep_capped", page=3)
    answer = await crisp.get(f"{lists}/4")
    assert (answer.status_code, rows_of(answer)) == (200, [])


async def test_duplicate_rows(crisp: httpx.AsyncClient, world: World, lists: str) -> None:
    world.faults.add("duplicate_rows")
    ids = [row["session_id"] for row in rows_of(await crisp.get(f"{lists}/1"))]
    assert (len(ids), len(set(ids))) == (22, 20)


async def test_shuffled_ties_lose_no_row(
    crisp: httpx.AsyncClient, world: World, lists: str
) -> None:
    world.faults.add("shuffled_ties")
    seen = [
        tuple(row["session_id"] for row in await pages(crisp, lists, include_empty=1))
        for _ in range(4)
    ]
    assert len(set(seen)) > 1
    assert len({frozenset(rows) for rows in seen}) == 1


async def test_circular_walk(crisp: httpx.AsyncClient, world: World) -> None:
    world.faults.add("circular")
    path = f"/website/{world.website_id}/conversation/{world.main.session_id(23)}/messages"
    first = await crisp.get(path)
    again = await crisp.get(path, params={"timestamp_before": first.json()["data"][0]["timestamp"]})
    assert first.status_code == again.status_code == 206
    assert first.json() == again.json()


async def test_stale_answers_until_they_are_too_old(
    crisp: httpx.AsyncClient, world: World, lists: str
) -> None:
    world.faults.add("stale", seconds=60)
    first = await crisp.get(f"{lists}/1")
    make(world, world.main, "message_new")
    stale = await crisp.get(f"{lists}/1")
    assert stale.headers["bloom-status"] == "HIT"
    assert stale.content == first.content
    world.clock.advance(61_000)
    fresh = await crisp.get(f"{lists}/1")
    assert fresh.headers["bloom-status"] == "MISS"
    assert fresh.content != first.content


async def test_rows_become_visible_late(crisp: httpx.AsyncClient, world: World, lists: str) -> None:
    world.faults.add("visibility_delay", seconds=90)
    i, _ = begin_conversation(world, world.main)
    session = world.main.session_id(i)
    assert session not in {row["session_id"] for row in rows_of(await crisp.get(f"{lists}/1"))}
    path = f"/website/{world.website_id}/conversation/{session}"
    assert (await crisp.get(path)).status_code == 200
    world.clock.advance(91_000)
    assert rows_of(await crisp.get(f"{lists}/1"))[0]["session_id"] == session


async def test_daily_quota_until_midnight(crisp: httpx.AsyncClient, world: World) -> None:
    world.quota.limit = 3
    codes = [(await crisp.get("/plugin/connect/account")).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 423]
    world.quota.reset()
    codes = [(await crisp.get("/plugin/connect/account")).status_code for _ in range(4)]
    assert codes[-1] == 423
    world.clock.advance(HOUR)
    assert (await crisp.get("/plugin/connect/account")).status_code == 423
    world.clock.set((world.clock.now() // DAY + 1) * DAY)
    assert (await crisp.get("/plugin/connect/account")).status_code == 200


async def test_uninstalled_now_and_after_some_requests(
    crisp: httpx.AsyncClient, world: World, lists: str
) -> None:
    uninstall(world, world.main)
    assert (await crisp.get(f"{lists}/1")).json()["reason"] == "not_subscribed"
    reinstall(world, world.main)
    world.faults.add("uninstall", after=2, count=1)
    codes = [(await crisp.get(f"{lists}/1")).status_code for _ in range(4)]
    assert codes == [206, 206, 404, 404]
    since = "/plugin/connect/websites/since?date_since=2020-01-01T00:00:00Z"
    differences = {r["website_id"]: r["difference"] for r in rows_of(await crisp.get(since))}
    assert differences[world.website_id] == "unlinked"


async def test_broken_connections(world: World) -> None:
    async with (
        serve(world) as url,
        httpx.AsyncClient(
            base_url=url, auth=(world.identifier, world.key), headers={"X-Crisp-Tier": "plugin"}
        ) as crisp,
    ):
        for name in ("drop", "half_body"):
            world.faults.add(name, count=1)
            with pytest.raises(httpx.RemoteProtocolError):
                await crisp.get(f"/website/{world.website_id}/people/stats")
            assert (await crisp.get("/plugin/connect/account")).status_code == 200


async def test_slow_answers_overlap(crisp: httpx.AsyncClient, world: World) -> None:
    import asyncio

    world.delay_ms = 60
    begin = time.perf_counter()
    await asyncio.gather(*(crisp.get("/plugin/connect/account") for _ in range(20)))
    assert 0.055 < time.perf_counter() - begin < 0.6
    assert world.counters.in_flight_max == 20
    world.delay_ms = 0
    world.faults.add("slow", delay_ms=60, count=1)
    begin = time.perf_counter()
    await crisp.get("/plugin/connect/account")
    assert time.perf_counter() - begin > 0.055


async def test_a_delay_is_not_lengthened_by_the_network(world: World) -> None:
    world.delay_ms = 20
    async with (
        serve(world) as url,
        httpx.AsyncClient(
            base_url=url, auth=(world.identifier, world.key), headers={"X-Crisp-Tier": "plugin"}
        ) as crisp,
    ):
        times = []
        for _ in range(8):
            begin = time.perf_counter()
            await crisp.get("/plugin/connect/account")
            times.append(time.perf_counter() - begin)
    # The quickest: with Nagle's delay every one would be over 60 ms.
    assert 0.019 < min(times) < 0.05


def test_unknown_fault_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        world.faults.add("earthquake")
    assert "drop" in NAMES


async def test_lone_surrogates_arrive_escaped(crisp: httpx.AsyncClient, world: World) -> None:
    path = f"/website/{world.website_id}/conversation/{world.main.session_id(1)}/messages"
    answer = await crisp.get(path)
    assert b"\\ud83d" in answer.content
    assert json.loads(answer.content)["data"][0]["content"] == "cut in half \ud83d"
