"""Control routes: what another process can see and do; and ``run`` in a process of its own."""

import json
import signal
import subprocess
import sys

import httpx
import pytest

from app.sandbox import truth
from app.sandbox.asgi import create_app
from app.sandbox.world import World
from tests.sandbox.walks import Json


async def test_state_counters_and_log(
    crisp: httpx.AsyncClient, box: httpx.AsyncClient, world: World
) -> None:
    await box.post("/log", json={"length": 10})
    await crisp.get(f"/website/{world.website_id}/conversations/1?per_page=30")
    await crisp.post("/website/x/conversation")
    counters = (await box.get("/counters")).json()
    route = "/website/{website_id}/conversations/{page}"
    assert counters["total"] == 1
    assert counters["by_route"] == {route: 1}
    assert counters["by_status"] == {"206": 1, "405": 1}
    assert counters["refused_writes"] == [["POST", "/website/x/conversation"]]
    log = (await box.get("/log")).json()
    assert [(row["route"], row["params"]) for row in log] == [(route, {"per_page": "30"})]
    await box.post("/counters/reset")
    assert (await box.get("/counters")).json()["total"] == 0
    state = (await box.get("/state")).json()
    assert state["website_id"] == world.website_id
    assert [site["installed"] for site in state["websites"]] == [True, True, False]


async def test_faults_clock_and_settings(
    crisp: httpx.AsyncClient, box: httpx.AsyncClient, world: World
) -> None:
    await box.post("/faults", json={"name": "status", "status": 500, "count": 1})
    assert (await crisp.get("/plugin/connect/account")).status_code == 500
    assert (await box.post("/faults/clear", json={})).json() == {"cleared": 1}
    assert (await box.post("/faults", json={"name": "nope"})).status_code == 400
    assert (await box.post("/faults", json={"name": "drop", "colour": 1})).status_code == 400
    before = world.clock.now()
    answer = await box.post("/clock", json={"advance_ms": 5_000})
    assert answer.json() == {"now_ms": before + 5_000, "frozen": True}
    await box.post("/clock", json={"freeze": False})
    assert world.clock.frozen is False
    await box.post("/settings", json={"delay_ms": 5, "quota": 9, "changes_per_request": 0.5})
    assert (world.delay_ms, world.quota.limit, world.changes_per_request) == (5, 9, 0.5)
    assert (await box.post("/quota/reset")).status_code == 200
    assert (await box.post("/settings", json={"mix": {"state": 1}})).status_code == 200
    assert (await box.post("/settings", json={"mix": {"nonsense": 1}})).status_code == 400
    assert world.mix == {"state": 1}


async def test_truth_as_lines(box: httpx.AsyncClient, world: World) -> None:
    for name, rows in (
        ("people", truth.people(world)),
        ("conversations", truth.conversations(world)),
        ("messages", truth.messages(world)),
    ):
        answer = await box.get(f"/truth/{name}")
        # Not splitlines(): texts hold separators that it would also break at.
        lines = [json.loads(line) for line in answer.content.split(b"\n") if line]
        assert lines == list(rows)
    session = world.main.session_id(23)
    answer = await box.get("/truth/messages", params={"session": session})
    assert answer.content.count(b"\n") == 300
    assert (await box.get("/truth/people", params={"website": "x"})).status_code == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {"count": 3},
        {"kind": "state"},
        {"kind": "message_new", "session_id": "S", "content": "hi", "inbound": False},
        {"kind": "conversation_new", "meta": {"email": "a@b.example"}},
        {"kind": "conversation_field", "session_id": "S", "field": "topic", "value": "T"},
        {"kind": "state", "session_id": "S", "state": "pending", "bump": False},
        {"kind": "rating", "session_id": "S", "stars": 1},
        {"kind": "bound", "session_id": "S", "people_id": "P"},
        {"kind": "person_new", "email": "new@b.example"},
        {"kind": "person_changed", "people_id": "P", "segments": ["x"], "remove": ["company"]},
        {"kind": "contact_data", "people_id": "P", "data": {"k": 1}},
        {"kind": "person_removed", "people_id": "P"},
        {"kind": "conversation_removed", "session_id": "S"},
    ],
)
async def test_named_changes(box: httpx.AsyncClient, world: World, wanted: Json) -> None:
    names = {"S": world.main.session_id(30), "P": world.main.people_id(5)}
    wanted = {k: names.get(v, v) if isinstance(v, str) else v for k, v in wanted.items()}
    answer = await box.post("/change", json=wanted)
    assert answer.status_code == 200, answer.text
    made = answer.json()["changes"]
    assert bool(made) is (wanted.get("kind") != "contact_data")
    lines = (await box.get("/changes")).text.splitlines()
    assert [json.loads(line) for line in lines] == made


async def test_named_change_of_nothing_is_not_found(box: httpx.AsyncClient) -> None:
    wanted = {"kind": "state", "session_id": "session_x", "state": "pending"}
    assert (await box.post("/change", json=wanted)).status_code == 404
    assert (await box.post("/change", json={"kind": "revolution"})).status_code == 400


async def test_install_routes(
    crisp: httpx.AsyncClient, box: httpx.AsyncClient, world: World
) -> None:
    await box.post("/uninstall", json={})
    assert (await crisp.get(f"/website/{world.website_id}")).status_code == 404
    await box.post("/reinstall", json={})
    assert (await crisp.get(f"/website/{world.website_id}")).status_code == 200
    added = (await box.post("/websites", json={"people": 60, "conversations": 10})).json()
    assert (await crisp.get(f"/website/{added['website_id']}/people/stats")).status_code == 200


async def test_control_is_for_loopback_only(world: World) -> None:
    far = httpx.ASGITransport(create_app(world), client=("203.0.113.5", 1))
    async with httpx.AsyncClient(transport=far, base_url="http://crisp.example") as client:
        assert (await client.get("/sandbox/state")).status_code == 403
        assert (await client.get("/elsewhere")).status_code == 404


def test_run_prints_one_line_serves_and_stops() -> None:
    code = "from app.sandbox.serve import run; run('127.0.0.1', 0, 5, 60, 60, live=600)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert set(told) == {
            "url", "identifier", "key", "plugin_id", "website_id", "signing_secret",
        }  # fmt: skip
        answer = httpx.get(
            f"{told['url']}/website/{told['website_id']}/people/stats",
            auth=(told["identifier"], told["key"]),
            headers={"X-Crisp-Tier": "plugin"},
        )
        assert answer.json()["data"] == {"total": 60}
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_importing_the_entry_is_cheap() -> None:
    code = "import sys, app.sandbox.serve; print('uvicorn' in sys.modules, 'orjson' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False False"
