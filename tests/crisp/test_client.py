"""The client against a real server: the sandbox, and one that breaks HTTP itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
import stamina

from app.crisp import budget as budgets
from app.crisp import client as clients
from app.crisp.budget import Budget
from app.crisp.client import Credential, CrispClient, proxy_for, refuse_path_part
from app.crisp.errors import AuthRejected, Gone, NotSubscribed, Permanent, Transient
from app.db.session import open_database
from app.errors import Paused
from app.sandbox.serve import serve
from app.sandbox.world import World
from tests.pulling import Crispsync, opened

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ACCOUNT = "plugin/connect/account"


@pytest.fixture
async def crisp(sqlite_url: str) -> AsyncIterator[Crispsync]:
    world = World(people=5, conversations=120, others=())
    async with serve(world) as url, opened(world, url, sqlite_url) as found:
        yield found


@pytest.fixture
def conversations(crisp: Crispsync) -> str:
    return f"website/{crisp.website_id}/conversations/1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "post"])
async def test_only_get_and_head_leave_the_house(crisp: Crispsync, method: str) -> None:
    """SPEC P1: nothing else can be sent through its transport, whoever tries."""
    request = httpx.Request(method, f"{crisp.url}/website/{crisp.website_id}", json={})
    with pytest.raises(AssertionError, match="never writes"):
        await crisp.client._transport.handle_async_request(request)
    assert crisp.world.counters.total == 0
    assert crisp.world.counters.refused_writes == []


async def test_head_may_be_sent(crisp: Crispsync) -> None:
    request = httpx.Request("HEAD", f"{crisp.url}/plugin/connect/session")
    response = await crisp.client._transport.handle_async_request(request)
    assert response.status_code == 401
    await response.aclose()


async def test_answer_of_a_list(crisp: Crispsync, conversations: str) -> None:
    answer = await crisp.client.get(conversations, {"per_page": 50, "include_empty": 1})
    assert len(answer.data) == 50
    assert answer.more
    assert not answer.cached
    last = await crisp.client.get(conversations[:-1] + "3", {"per_page": 50, "include_empty": 1})
    assert (len(last.data), last.more) == (20, False)
    assert abs(answer.asked_ms - crisp.world.clock.now()) < 3000


async def test_cached_answer_is_older_than_it_looks(crisp: Crispsync) -> None:
    crisp.world.faults.add("stale", seconds=30)
    first, second = [await crisp.client.get(ACCOUNT) for _ in range(2)]
    assert (first.cached, second.cached) == (False, True)
    assert second.asked_ms < first.asked_ms


@pytest.mark.parametrize("fault", ["html_200", "error_200", "half_body", "drop"])
async def test_answer_that_is_none_is_never_an_empty_page(
    crisp: Crispsync, conversations: str, fault: str
) -> None:  # FAILURES case 37
    crisp.world.faults.add(fault)
    with stamina.set_testing(True, attempts=2), pytest.raises(Transient):
        await crisp.client.get(conversations)
    assert crisp.world.counters.total >= 2, "it is asked again"
    crisp.world.faults.clear()
    assert (await crisp.client.get(conversations)).data


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (401, None, AuthRejected),
        (403, None, AuthRejected),
        (404, "not_found", Gone),
        (404, "not_subscribed", NotSubscribed),
        (400, None, Permanent),
        (402, None, Permanent),
    ],
)
async def test_refusal_is_not_asked_again(
    crisp: Crispsync, status: int, reason: str | None, error: type[Exception]
) -> None:
    crisp.world.faults.add("status", status=status, reason=reason)
    with pytest.raises(error):
        await crisp.client.get(ACCOUNT)
    assert crisp.world.counters.total == 1


async def test_trouble_that_passes_is_not_noticed(crisp: Crispsync, conversations: str) -> None:
    crisp.world.faults.add("status", status=502, count=1)
    crisp.world.faults.add("drop", count=1, after=1)
    with stamina.set_testing(True, attempts=10, cap=True):
        assert (await crisp.client.get(conversations)).data


async def test_throttling_burns_no_try(
    crisp: Crispsync, monkeypatch: pytest.MonkeyPatch
) -> None:  # FAILURES case 35
    monkeypatch.setattr(budgets, "RATE_PAUSE", (0.002, 0.004))
    for status in (420, 429, 420, 429, 422) * 4:
        crisp.world.faults.add("status", status=status, reason="rate_limited", count=1)
    with stamina.set_testing(True, attempts=1):
        assert (await crisp.client.get(ACCOUNT)).data == {"plugin_id": crisp.world.plugin_id}
    assert crisp.world.counters.total == 21


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 90 ", 90.0),
        ("1.5", 1.5),
        (".25", 0.25),
        ("Wed, 21 Oct 2026 07:30:00 GMT", 120.0),
        ("Wednesday, 21-Oct-26 07:30:00 GMT", 120.0),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1e3", None),
        ("nan", None),
        ("9" * 400, None),
        ("Wed, 99 Oct 2026 07:30:00 GMT", None),
    ],
)
def test_retry_after_in_every_form(value: str, seconds: float | None) -> None:  # SPEC S6
    """A number, whole or not, or a date, which is on the sender's own clock."""
    headers = {"retry-after": value, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert clients._retry_after(httpx.Response(429, headers=headers)) == seconds


def test_retry_after_a_date_without_the_sender_s_clock() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    seconds = clients._retry_after(httpx.Response(429, headers={"retry-after": until}))
    assert seconds is not None
    assert 500 < seconds <= 600


async def test_retry_after_holds_everybody_back(crisp: Crispsync, conversations: str) -> None:
    """SPEC S6: twelve callers on eight connections: nobody asks for two seconds, then one goes first."""
    world = crisp.world
    world.delay_ms = 20
    world.counters.keep_log(100)
    world.faults.add("status", status=429, retry_after=2, count=8)
    began = time.monotonic()
    answers = await asyncio.gather(*(crisp.client.get(conversations) for _ in range(12)))
    assert all(answer.data for answer in answers)
    assert time.monotonic() - began >= 2
    asked = [one.at_ms for one in world.counters.log]
    before, after = asked[:8], asked[8:]
    assert len(after) == 12, "each is asked once more, and those that waited, once"
    assert after[0] - before[-1] >= 1900
    assert after[1] - after[0] >= 15, "a probe goes ahead alone"


async def test_pause_too_long_to_wait_for_is_told(crisp: Crispsync) -> None:  # FAILURES case 36
    crisp.world.faults.add("status", status=423, retry_after=7200, count=1)
    with pytest.raises(Paused, match="quota"):
        await crisp.client.get(ACCOUNT)
    with pytest.raises(Paused):
        await crisp.client.get(ACCOUNT)
    assert crisp.world.counters.total == 1, "nothing is sent during the pause"


async def test_no_more_at_once_than_allowed(sqlite_url: str) -> None:
    world = World(people=5, conversations=10, others=(), delay_ms=5)
    async with serve(world) as url, opened(world, url, sqlite_url, concurrency=3) as crisp:
        await asyncio.gather(*(crisp.client.get(ACCOUNT) for _ in range(30)))
    assert world.counters.in_flight_max == len(crisp.client) == 3


async def test_caller_that_gives_up_leaves_the_connection_usable(crisp: Crispsync) -> None:
    crisp.world.faults.add("slow", delay_ms=10_000, count=8)
    callers = [asyncio.create_task(crisp.client.get(ACCOUNT)) for _ in range(8)]
    async with asyncio.timeout(10):
        while crisp.world.counters.in_flight < 8:
            await asyncio.sleep(0.005)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        answers = await asyncio.gather(*(crisp.client.get(ACCOUNT) for _ in range(16)))
    assert len(answers) == 16


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b'HTTP/1.1 200 OK\r\ncontent-length: 25\r\n\r\n{"error":false,"data":NaN}',
        b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"error":false}',
        b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"data":[]}',
        b'HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n{"error":null,"data":[]}',
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x16\x03\x01\x00\x00",
        b"",
    ],
)
async def test_broken_http_is_trouble_that_passes(sqlite_url: str, answer: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with _raw_server(handler) as url, _client(url, sqlite_url) as client:
        for _ in range(len(client) + 1):  # the connection can be used again
            with stamina.set_testing(True, attempts=1), pytest.raises(Transient) as raised:
                await client.get("website/x")
            assert re.search("127.0.0.1|readable|means nothing", raised.value.message)
            assert "PoolTimeout" not in raised.value.message


async def test_nobody_listens(sqlite_url: str) -> None:
    async with _client("http://127.0.0.1:9/v1", sqlite_url) as client:
        with stamina.set_testing(True, attempts=2), pytest.raises(Transient, match="reached"):
            await client.get("website/x")


async def test_answer_that_never_ends_is_given_up(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then keeps every timeout of a read happy, and a run standing still for ever."""
    monkeypatch.setattr(clients, "WHOLE_ANSWER", 0.2)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with _raw_server(handler) as url, _client(url, sqlite_url) as client:
        with stamina.set_testing(True, attempts=1), pytest.raises(Transient, match="reached"):
            await client.get("website/x")


@pytest.mark.parametrize(
    "part", ["", "..", "a/b", "a?b", "a#b", "a%2Fb", "ä b", "x" * 129, "a\nb", "session_1\r\n"]
)
def test_id_that_could_change_the_address_is_refused(part: str) -> None:
    with pytest.raises(Permanent):
        refuse_path_part(part)


@pytest.mark.parametrize("part", ["session_8c842203-7ed8-4e29-a608-7cf78a7d2fcc", "a-b_c9"])
def test_id_of_crisp_is_taken(part: str) -> None:
    assert refuse_path_part(part) == part


async def test_credentials_and_tier_are_sent(crisp: Crispsync) -> None:
    answer = await crisp.client.get(ACCOUNT)
    assert answer.data == {"plugin_id": crisp.world.plugin_id}
    async with _client(crisp.url, str(crisp.db.engine.url)) as stranger:
        with pytest.raises(AuthRejected, match="CRISP_IDENTIFIER"):
            await stranger.get(ACCOUNT)


@contextlib.asynccontextmanager
async def _raw_server(handler: Handler) -> AsyncIterator[str]:
    """Whatever the handler writes, byte by byte."""
    at_work: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handler(reader, writer)
        finally:
            at_work.discard(task)
            writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.close()
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


@contextlib.asynccontextmanager
async def _client(url: str, database_url: str) -> AsyncIterator[CrispClient]:
    db = open_database(database_url)
    client = CrispClient(url, Credential("identifier", "key"), Budget(db, "identifier", 5000), 2)
    try:
        yield client
    finally:
        await client.close()
        await db.close()


@pytest.mark.parametrize(
    ("environment", "url", "found"),
    [
        ({}, "https://api.crisp.chat/v1/", None),
        (
            {"https_proxy": "http://proxy.example:3128"},
            "https://api.crisp.chat/v1/",
            "proxy.example",
        ),
        ({"https_proxy": "http://proxy.example:3128"}, "http://127.0.0.1:9/", None),
        (
            {"https_proxy": "http://proxy.example:3128", "no_proxy": ".crisp.chat"},
            "https://api.crisp.chat/v1/",
            None,
        ),
    ],
)
def test_a_proxy_is_used_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, found: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(httpx.URL(url))
    assert (proxy.url.host if proxy else None) == found
