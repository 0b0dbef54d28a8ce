"""The sandbox sends its hooks: to a real server, signed, again until acknowledged (SPEC S4)."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest_asyncio

from app.sandbox.churn import make_changes
from app.sandbox.conversation_changes import set_field
from app.sandbox.hook_collector import collected_hooks
from app.sandbox.hook_fates import Shares
from app.sandbox.hook_queue import HELD_S, Delivery, HookQueue
from app.sandbox.hooks import HookSender, Sending, set_hooks, stop_hooks
from app.sandbox.installs import reinstall, uninstall
from app.sandbox.serve import serve
from app.sandbox.world import World
from tests.fixtures.valkey import free_port
from tests.sandbox.hook_receiver import Got, Receiver, receiving


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@contextlib.asynccontextmanager
async def sending(world: World, receiver: Receiver, **wanted: Any) -> AsyncIterator[HookSender]:
    await set_hooks(world, {"to": receiver.url, "retry_s": 0.01, **wanted})
    assert world.hooks is not None
    try:
        yield world.hooks
    finally:
        await stop_hooks(world)


def counts(sender: HookSender) -> Any:
    return sender.as_dict()["counts"]


def statuses(*first: int) -> Any:
    """Answers these one after another, then 200."""
    row: Iterator[int] = iter(first)
    return lambda _got: next(row, 200)


async def test_a_hook_is_signed_and_numbered(world: World, receiver: Receiver) -> None:
    async with sending(world, receiver) as sender:
        change = set_field(world, world.main, 30, "subject", "Hé 🙂")
        assert await sender.flush()
    (got,) = receiver.got
    assert got.json() == {
        "website_id": world.website_id,
        "event": "session:set_subject",
        "data": change.data,
        "timestamp": change.at_ms,
    }
    stamp = got.headers["x-crisp-request-timestamp"]
    assert stamp == str(change.at_ms)
    signed = b"[" + stamp.encode() + b";" + got.body + b"]"
    right = hmac.new(world.signing_secret.encode(), signed, hashlib.sha256).hexdigest()
    assert got.headers["x-crisp-signature"] == right
    assert got.headers["x-crisp-hook-origin"].startswith("plugin/rtm ")
    assert (got.attempt, got.headers["x-delivery-attempt-limit"]) == ("1", "5")
    assert got.headers["content-type"] == "application/json"


async def test_tried_again_until_acknowledged(world: World, receiver: Receiver) -> None:
    receiver.answer = statuses(503, 302, 404)
    async with sending(world, receiver) as sender:
        set_field(world, world.main, 30, "topic", "T")
        assert await sender.flush()
        told = counts(sender)
    assert [got.attempt for got in receiver.got] == ["1", "2", "3", "4"]
    assert len({got.body for got in receiver.got}) == 1
    assert told["refused"] == {"302": 1, "404": 1, "503": 1}
    assert (told["sent"], told["acknowledged"], told["retried"]) == (4, 1, 3)
    assert told["acknowledged_events"] == {"session:sync:topic": 1}


async def test_given_up_at_the_limit(world: World, receiver: Receiver) -> None:
    receiver.answer = lambda _got: 500
    async with sending(world, receiver, limit=3) as sender:
        make_changes(world, 1)
        assert await sender.flush()
        told = counts(sender)
    assert [got.attempt for got in receiver.got][-1] == "3"
    assert told["given_up"] == told["told"]
    assert told["acknowledged"] == 0


async def test_an_unreachable_receiver_is_tried_again(world: World, receiver: Receiver) -> None:
    async with sending(world, receiver, limit=1_000) as sender:
        await set_hooks(world, {"to": f"http://127.0.0.1:{free_port()}/nobody"})
        set_field(world, world.main, 30, "topic", "T")
        while not counts(sender)["unreachable"]:
            await asyncio.sleep(0)
        await set_hooks(world, {"to": receiver.url})
        assert await sender.flush()
    assert len(receiver.got) == 1
    assert int(receiver.got[0].attempt) > 1


def test_waits_grow() -> None:
    ways = Sending("http://x.example", retry_s=2)
    assert [ways.wait_after(attempt) for attempt in (1, 2, 3, 4, 20)] == [2, 4, 8, 16, 300]


async def test_shares_over_a_thousand_hooks(world: World, receiver: Receiver) -> None:
    shares = {"lost": 0.05, "doubled": 0.1, "late": 0.2, "reordered": 0.1, "resigned": 0.1}
    async with sending(world, receiver, late_s=3600, **shares) as sender:
        for _ in range(1_000):
            # Two equal changes in one millisecond would have one and the same body.
            world.clock.advance(1)
            make_changes(world, 1)
        assert await sender.flush()
        told = counts(sender)
    hooks = told["told"]
    assert hooks >= 1_000
    for name, share in shares.items():
        assert abs(told[name] / hooks - share) < 0.04, name
    assert told["sent"] == told["acknowledged"] == len(receiver.got)
    assert told["sent"] == hooks - told["lost"] + told["doubled"] + told["resigned"]
    bodies = Counter(got.body for got in receiver.got)
    assert len(bodies) == hooks - told["lost"]
    twice = [got for got in receiver.got if bodies[got.body] > 1]
    signatures = Counter(got.headers["x-crisp-signature"] for got in twice)
    assert sum(n > 1 for n in signatures.values()) == told["doubled"]


async def test_late_ones_come_by_themselves(world: World, receiver: Receiver) -> None:
    async with sending(world, receiver, late=1, late_s=0.05):
        set_field(world, world.main, 30, "topic", "T")
        assert not receiver.got
        await receiver.wait_for(1)


async def test_flush_waits_for_what_is_on_its_way(world: World, receiver: Receiver) -> None:
    receiver.open.clear()
    async with sending(world, receiver) as sender:
        set_field(world, world.main, 30, "topic", "T")
        await receiver.wait_for(1)
        assert not await sender.flush(timeout_s=0)
        flushing = asyncio.create_task(sender.flush())
        receiver.open.set()
        assert await flushing
        assert sender.unsent == 0


async def test_at_most_so_many_at_once(world: World, receiver: Receiver) -> None:
    receiver.open.clear()
    async with sending(world, receiver, concurrency=3) as sender:
        make_changes(world, 20)
        await receiver.wait_for(3)
        assert sender.as_dict()["in_flight"] == 3
        receiver.open.set()
        assert await sender.flush()
    assert receiver.most_at_once == 3


async def test_no_faster_than_the_rate(world: World, receiver: Receiver) -> None:
    clock = asyncio.get_running_loop().time
    async with sending(world, receiver, rate=100) as sender:
        begun = clock()
        make_changes(world, 20)
        assert await sender.flush()
        # From below only, so that a slow machine cannot fail it; timers may fire a little early.
        assert clock() - begun >= 0.9 * (len(receiver.got) - 1) / 100


async def test_no_hooks_for_an_uninstalled_website(world: World, receiver: Receiver) -> None:
    # SPEC P1
    async with sending(world, receiver, concurrency=1) as sender:
        uninstall(world, world.main)
        make_changes(world, 5, world.main)
        reinstall(world, world.main)
        set_field(world, world.main, 30, "topic", "T")
        assert await sender.flush()
        assert counts(sender)["withheld"] >= 5
    told = [(got.json()["event"], got.json()["data"].get("bound")) for got in receiver.got]
    assert told == [
        ("plugin:subscription:updated", False),
        ("plugin:subscription:updated", True),
        ("session:sync:topic", None),
    ]


async def test_uninstalled_while_a_hook_waits(world: World, receiver: Receiver) -> None:
    async with sending(world, receiver, late=1, late_s=3600) as sender:
        set_field(world, world.main, 30, "topic", "T")
        uninstall(world, world.main)
        assert await sender.flush()
    assert [got.json()["event"] for got in receiver.got] == ["plugin:subscription:updated"]


async def test_memory_is_bounded(world: World, receiver: Receiver) -> None:
    sender = HookSender(world, Sending(receiver.url), Shares(), HookQueue(most=10))
    receiver.open.clear()
    sender.start()
    try:
        for n in range(50):
            set_field(world, world.main, 30, "topic", f"T{n}")
        assert sender.unsent == 10
        assert counts(sender)["overflowed"] == 40
    finally:
        await sender.stop()
    assert counts(sender)["dropped"] == 10
    assert world.listeners == []


async def test_bytes_are_bounded(world: World, receiver: Receiver) -> None:
    sender = HookSender(world, Sending(receiver.url), Shares(), HookQueue(most_bytes=100_000))
    sender.start()
    try:
        for _ in range(3):
            set_field(world, world.main, 30, "topic", "x" * 60_000)
        assert counts(sender)["overflowed"] == 2
        assert await sender.flush()
        set_field(world, world.main, 30, "topic", "x" * 60_000)
        assert await sender.flush()
        assert counts(sender)["acknowledged"] == 2
    finally:
        await sender.stop()


async def test_hooks_over_the_control_routes(world: World, receiver: Receiver) -> None:
    receiver.answer = lambda got: 200 if got.json()["event"] != "session:set_phone" else 403
    async with (
        serve(world, hooks_to=receiver.url) as url,
        httpx.AsyncClient(base_url=url.removesuffix("/v1") + "/sandbox") as box,
    ):
        answer = await box.post("/hooks", json={"limit": 2, "retry_s": 0, "doubled": 1})
        assert (answer.json()["limit"], answer.json()["doubled"]) == (2, 1)
        session = world.main.session_id(30)
        for field in ("topic", "phone"):
            wanted = {"kind": "conversation_field", "session_id": session, "field": field}
            await box.post("/change", json={**wanted, "value": "1"})
        flushed = (await box.post("/hooks/flush")).json()
        assert (flushed["empty"], flushed["waiting"], flushed["in_flight"]) == (True, 0, 0)
        told = (await box.get("/hooks")).json()["counts"]
        assert (told["told"], told["sent"], told["acknowledged"]) == (2, 6, 2)
        assert (told["refused"], told["given_up"]) == ({"403": 4}, 2)
        lines = (await box.get("/hooks/acknowledged")).text.splitlines()
        right = next(got.body for got in receiver.got if b"sync:topic" in got.body)
        assert [json.loads(line) for line in lines] == [
            {"sha256": hashlib.sha256(right).hexdigest()}
        ]
        assert (await box.post("/hooks/reset")).json()["counts"]["sent"] == 0
        assert (await box.get("/hooks/acknowledged")).text == ""
        for wrong in ({"colour": 1}, {"lost": 2}, {"concurrency": 0}, {"to": "ftp://x"}):
            assert (await box.post("/hooks", json=wrong)).status_code == 400, wrong
        assert (await box.post("/hooks", json={"to": None})).json() == {"to": None}
        assert world.listeners == []
        assert (await box.post("/hooks/flush")).json() == {"to": None, "empty": True}
        assert (await box.post("/hooks", json={"rate": 1})).status_code == 400
        assert (await box.post("/hooks", json={"to": receiver.url})).status_code == 200
    assert world.hooks is None
    assert world.listeners == []


async def test_a_world_without_hooks_has_no_listener(world: World) -> None:
    async with serve(world):
        assert world.listeners == []
        assert world.hooks is None


async def test_what_was_cut_off_is_no_hook(receiver: Receiver) -> None:
    """A sender that is stopped sends half a request; nobody can tell its signature."""
    host, port = receiver.url.removeprefix("http://").removesuffix("/hook").split(":")
    for half in (b"", b'{"website_id":'):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n" + half)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(receiver.url, content=b"whole")
    assert [got.body for got in receiver.got] == [b"whole"]


async def test_the_program_sends_hooks(receiver: Receiver) -> None:
    """`crispsync sandbox --hooks-to URL`, in a process of its own."""
    program = [sys.executable, "-m", "app.cli", "sandbox", "--port", "0", "--live", "6000"]
    sizes = ["--people", "60", "--conversations", "60", "--hooks-to", receiver.url]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*program, *sizes, stdout=pipe, stderr=pipe)
    try:
        await receiver.wait_for(3)
    finally:
        process.send_signal(signal.SIGTERM)
    out, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    secret = json.loads(out)["signing_secret"]
    assert all(_fits(got, secret) for got in receiver.got)


def _fits(got: Got, secret: str) -> bool:
    signed = f"[{got.headers['x-crisp-request-timestamp']};".encode() + got.body + b"]"
    right = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return got.headers["x-crisp-signature"] == right


async def test_sent_in_the_order_that_is_collected(world: World, receiver: Receiver) -> None:
    shares = {"lost": 0.1, "doubled": 0.2, "reordered": 0.3, "overtaken_by": 7}
    with collected_hooks(world, **shares) as hooks:
        async with sending(world, receiver, concurrency=1, **shares) as sender:
            make_changes(world, 200)
            assert await sender.flush()
    assert [got.body for got in receiver.got] == [hook.body for hook in hooks.take()]


def test_an_overtaken_hook_does_not_wait_for_ever() -> None:
    queue = HookQueue()
    queue.told = 1
    queue.add(Delivery("e", "w", b"", place=3, timestamp_ms=0, overtaken=True), now=10)
    assert queue.take(10) is None
    assert queue.next_at(10) == 10 + HELD_S
    assert queue.take(10 + HELD_S) is not None
    assert queue.next_at(20) is None


def test_a_hurry_leaves_retries_their_wait() -> None:
    queue = HookQueue()
    late = Delivery("late", "w", b"", place=0, timestamp_ms=0, late_s=60)
    again = Delivery("again", "w", b"", place=0, timestamp_ms=0, attempt=2)
    queue.add(late, now=0)
    queue.put_back(again, now=0, wait_s=60)
    assert queue.take(0) is None
    queue.hurry()
    assert queue.take(0) is late
    assert queue.take(0) is None
    assert queue.take(60) is again
