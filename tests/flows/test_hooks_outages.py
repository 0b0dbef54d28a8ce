"""Taking and applying hooks with real processes, while what they need stops, dies or is replaced."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from sqlalchemy import select

from app.conversations.tables import conversations, messages
from app.sandbox.hook_signing import signed_headers
from app.webhooks.apply import FIRST
from app.webhooks.receive import PATH
from app.webhooks.tables import inbox_events
from app.websites.connect import Installed, save_connected
from tests.beside import fetch, until
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.program import Program, Running
from tests.fixtures.valkey import ValkeyServer, free_port
from tests.hooking import activate, receive, row_of, sent
from tests.ingesting import WEBSITE, Json, Site, connected, ms
from tests.webhooks.crashing import EXIT_CODE
from tests.webhooks.test_intake_outages import _crashing, _listens

OLD, NEW = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
OTHER = "11111111-2222-4333-8444-555555555555"
AT_MS = int(time.time() * 1000)
# Of older hooks than 72 hours only the ids are believed.
TODAY = (AT_MS - ms(0)) / 60_000  # minutes after START


def made(number: int, sender: int = 0) -> bytes:
    return json.dumps(sent(f"session_{sender}", number, f"Hello {number}", at=TODAY)).encode()


def hook_of(website_id: str, number: int) -> bytes:
    """Of a website that is connected already."""
    hook = sent("session_of_its_own", number, f"Hello {number}", at=TODAY)
    hook["website_id"] = hook["data"]["website_id"] = website_id
    return json.dumps(hook).encode()


def id_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def post(address: str, body: bytes, secret: str = OLD) -> int:
    """The status, 0 when nobody answered."""
    headers = signed_headers(secret, "plugin/rtm", body, timestamp_ms=AT_MS, attempt=1, limit=3)
    try:
        return httpx.post(f"{address}{PATH}", content=body, headers=headers, timeout=10).status_code
    except httpx.TransportError:
        return 0


@dataclass
class Load:
    """Senders that go on until they are stopped, each hook until it is taken."""

    address: str
    secret: str = OLD
    taken: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)

    def send(self, sender: int) -> None:
        number = 0
        while not self.stopped.is_set():
            body = made(number, sender)
            status = post(self.address, body, self.secret)
            self.statuses.add(status)
            if status == 200:
                self.taken.append(id_of(body))
                number += 1

    def wait_for(self, more: int) -> None:
        goal = len(self.taken) + more
        until(lambda: len(self.taken) >= goal)


@contextmanager
def load_on(address: str) -> Iterator[Load]:
    load = Load(address)
    threads = [threading.Thread(target=load.send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopped.set()
        for thread in threads:
            thread.join()


def connect(url: str, *others: str) -> None:
    """Websites that take hooks."""

    async def run() -> None:
        async with connected(url) as site:
            await activate(site)
            for other in others:
                await save_connected(site.db, Installed(other, "Other", None))
                await activate(Site(site.db, other))

    asyncio.run(run())


def serve(program: Program, url: str, port: int, **more: str) -> Running:
    env = {"DATABASE_URL": url, "CRISP_SIGNING_SECRET": OLD, **more}
    server = program.start("serve", "--port", str(port), env=env)
    server.wait_for_line("crispsync serves")
    return server


def states_of(url: str) -> dict[str, str]:
    return {row.id: row.state for row in fetch(url, select(inbox_events))}


def assert_applied(url: str, taken: list[str]) -> None:
    until(lambda: set(states_of(url).values()) == {"done"})
    assert set(taken) <= states_of(url).keys()
    stored = len(fetch(url, select(messages.c.fingerprint)))
    assert stored == len(states_of(url))


def test_case_021_applying_goes_on_when_the_database_is_back(
    program: Program, own_postgres: PostgresServer
) -> None:
    url, port = own_postgres.url, free_port()
    assert program.run("migrate", env={"DATABASE_URL": url}).code == 0
    connect(url)
    server = serve(program, url, port)
    with load_on(f"http://127.0.0.1:{port}") as load:
        load.wait_for(100)
        own_postgres.stop("fast")
        until(lambda: 503 in load.statuses)
        own_postgres.start()
        load.wait_for(100)
    assert load.statuses == {200, 503}
    assert_applied(url, load.taken)
    assert server.alive


def test_case_022_redis_is_away_and_hooks_are_applied_all_the_same(
    program: Program, own_redis: ValkeyServer, migrated_postgres_url: str
) -> None:
    url, port = migrated_postgres_url, free_port()
    connect(url)
    address = f"http://127.0.0.1:{port}"
    serve(program, url, port, REDIS_URL=own_redis.url)
    worker = program.start("worker", env={"DATABASE_URL": url, "REDIS_URL": own_redis.url})
    assert post(address, made(1)) == 200
    assert_applied(url, [id_of(made(1))])
    own_redis.stop()
    worker.wait_for_line("Redis is away")
    assert post(address, made(2)) == 200
    assert_applied(url, [id_of(made(1)), id_of(made(2))])
    # As was before: nobody started Redis again.
    worker.process.terminate()
    worker.wait(20)
    assert "Traceback" not in worker.output


def test_case_022_a_worker_that_starts_while_redis_is_away_applies(
    program: Program, own_redis: ValkeyServer, migrated_postgres_url: str
) -> None:
    url, port = migrated_postgres_url, free_port()
    connect(url)
    own_redis.stop()
    serve(program, url, port, REDIS_URL=own_redis.url)
    program.start("worker", env={"DATABASE_URL": url, "REDIS_URL": own_redis.url})
    assert post(f"http://127.0.0.1:{port}", made(1)) == 200
    assert_applied(url, [id_of(made(1))])


def test_case_023_crash_between_commit_and_bell(program: Program, database_url: str) -> None:
    """Nobody rings for it: whoever starts next looks by itself."""
    connect(database_url)
    port = free_port()
    process = _crashing(program, database_url, port)
    try:
        until(lambda: _listens(port))
        assert post(f"http://127.0.0.1:{port}", made(1)) == 0
        assert process.wait(30) == EXIT_CODE
    finally:
        process.kill()
    assert states_of(database_url) == {id_of(made(1)): "new"}
    serve(program, database_url, free_port())
    assert_applied(database_url, [id_of(made(1))])


def test_case_024_a_burst_of_one_website_keeps_no_other_waiting(
    program: Program, database_url: str
) -> None:
    """5,000 hooks, 95 % of one website, all there before anybody applies them."""
    connect(database_url, OTHER)
    busy = [row_of(sent(f"s{n % 50}", n, at=TODAY - 10 + n / 1_000)) for n in range(4_750)]
    quiet = [row_of(_elsewhere(n)) for n in range(250)]
    _fill(database_url, busy + quiet)
    serve(program, database_url, free_port())
    until(lambda: set(states_of(database_url).values()) == {"done"})
    done = fetch(database_url, select(inbox_events.c.website_id, inbox_events.c.done_at))
    assert len(done) == 5_000
    last_of_quiet = max(row.done_at for row in done if row.website_id == OTHER)
    before = [row for row in done if row.website_id == WEBSITE and row.done_at <= last_of_quiet]
    assert len(before) <= FIRST


def _elsewhere(number: int) -> Json:
    """Received last of all."""
    body = sent("quiet", number, at=TODAY + number / 1_000)
    body["website_id"] = body["data"]["website_id"] = OTHER
    return body


def _fill(url: str, rows: list[Json]) -> None:
    async def run() -> None:
        async with connected(url) as site:
            for begin in range(0, len(rows), 1_000):
                await receive(site.db, *rows[begin : begin + 1_000])

    asyncio.run(run())


def test_case_025_the_secret_is_rotated_under_load(program: Program, database_url: str) -> None:
    connect(database_url)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = serve(program, database_url, port)
    with load_on(address) as load:
        load.wait_for(50)
        server.stop()
        server = serve(program, database_url, port, CRISP_SIGNING_SECRET=f"{NEW},{OLD}")
        load.wait_for(50)
        server.wait_for_line("hooks.signed_with_another_secret")
        load.secret = NEW
        load.wait_for(50)
    # Refused was none; while it started again nobody answered, or it did not take any more.
    assert load.statuses <= {0, 200, 503}
    server.stop()
    serve(program, database_url, port, CRISP_SIGNING_SECRET=NEW)
    assert post(address, made(-1), OLD) == 403
    assert post(address, made(-1), NEW) == 200
    assert_applied(database_url, [*load.taken, id_of(made(-1))])
    assert fetch(database_url, select(conversations.c.id)) != []
