"""What was answered with 200 is in the inbox, whoever stops, dies or hangs meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import select

from app.db.migrate import upgrade
from app.db.session import open_database
from app.webhooks.receive import MOST_BYTES, PATH
from app.webhooks.tables import inbox_events
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.program import Program, Running
from tests.fixtures.valkey import free_port
from tests.flows.steps import until
from tests.webhooks.crashing import EXIT_CODE
from tests.webhooks.taking import (
    MEGABYTE,
    SECRET,
    Taking,
    headers_for,
    hook_body,
    pour,
    taking_hooks,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def durable_postgres(own_postgres: PostgresServer) -> PostgresServer:
    """With the schema. Its default promises nothing on a crash; hooks ask for more by themselves."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(upgrade, own_postgres.url).result()
    own_postgres.restart()
    return own_postgres


def id_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Sender:
    """Sends hook after hook, and remembers what was said of each."""

    def __init__(self, taking: Taking) -> None:
        self.taking = taking
        self.stopped = False
        self.acknowledged: list[str] = []
        self.refused = 0

    async def send(self, name: int) -> None:
        number = 0
        while not self.stopped:
            number += 1
            body = hook_body(number, sender=name)
            answer = await self.taking.send(body)
            assert answer.status_code in {200, 503}
            if answer.status_code == 200:
                self.acknowledged.append(id_of(body))
            else:
                self.refused += 1


@pytest.mark.parametrize("mode", ["immediate", "fast"])
async def test_case_021_postgres_stops_under_load(
    durable_postgres: PostgresServer, mode: str
) -> None:
    async with taking_hooks(durable_postgres.url) as taking, asyncio.TaskGroup() as group:
        sender = Sender(taking)
        for name in range(8):
            group.create_task(sender.send(name))
        await until(lambda: len(sender.acknowledged) > 100)
        await asyncio.to_thread(durable_postgres.stop, mode)  # type: ignore[arg-type]
        refused = sender.refused
        await until(lambda: sender.refused > refused + 20)
        await asyncio.to_thread(durable_postgres.start)
        before = len(sender.acknowledged)
        await until(lambda: len(sender.acknowledged) > before + 100)
        sender.stopped = True
    stored = await stored_in(durable_postgres.url)
    assert set(sender.acknowledged) <= set(stored)


async def test_case_074_the_first_hook_after_a_restart_is_taken(
    durable_postgres: PostgresServer,
) -> None:
    async with taking_hooks(durable_postgres.url) as taking:
        assert (await taking.send(hook_body(1))).status_code == 200
        await asyncio.to_thread(durable_postgres.restart, "immediate")
        assert (await taking.send(hook_body(2))).status_code == 200
        assert len(await taking.rows()) == 2


async def test_case_021_postgres_says_nothing_at_all(durable_postgres: PostgresServer) -> None:
    """Frozen, as behind a network that swallows everything: 503, and it goes on when it comes back."""
    async with taking_hooks(durable_postgres.url) as taking:
        assert (await taking.send(hook_body(1))).status_code == 200
        with frozen(durable_postgres):
            assert (await taking.send(hook_body(2))).status_code == 503
            assert (await taking.send(hook_body(3))).status_code == 503
        for number in (2, 3, 4):
            async with asyncio.timeout(30):
                while (await taking.send(hook_body(number))).status_code != 200:
                    pass
        assert {id_of(hook_body(number)) for number in (1, 2, 3, 4)} == {
            row.id for row in await taking.rows()
        }


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def _take_all_connections(url: str) -> list[psycopg.Connection]:
    taken: list[psycopg.Connection] = []
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            taken.append(psycopg.connect(url))
    return taken


async def test_case_021_no_connection_is_left(durable_postgres: PostgresServer) -> None:
    """The server has given all its connections to others."""
    with psycopg.connect(durable_postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_connections TO 5")
        connection.execute("ALTER SYSTEM SET superuser_reserved_connections TO 0")
    durable_postgres.restart()
    async with taking_hooks(durable_postgres.url) as taking:
        others = _take_all_connections(durable_postgres.url)
        assert (await taking.send(hook_body())).status_code == 503
        for other in others:
            other.close()
        async with asyncio.timeout(30):
            while (await taking.send(hook_body())).status_code != 200:
                pass


async def stored_in(url: str) -> dict[str, int]:
    db = open_database(url)
    async with db.read() as connection:
        rows = (await connection.execute(select(inbox_events))).all()
    await db.close()
    return {row.id: row.deliveries for row in rows}


def environment(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "CRISP_SIGNING_SECRET": SECRET}


async def test_case_023_crash_between_commit_and_answer(
    database_url: str, program: Program
) -> None:
    """The sender heard nothing and comes again: one row."""
    port = free_port()
    process = _crashing(program, database_url, port)
    try:
        await until(lambda: _listens(port))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:
            with pytest.raises(httpx.TransportError):
                await web.post(PATH, content=hook_body(), headers=headers_for(hook_body()))
        assert await asyncio.to_thread(process.wait, 30) == EXIT_CODE
    finally:
        process.kill()
    assert await stored_in(database_url) == {id_of(hook_body()): 1}
    async with taking_hooks(database_url) as taking:
        again = await taking.send(hook_body(), X_Delivery_Attempt_Count="2")
        assert again.status_code == 200
        row = await taking.row()
        assert (row.deliveries, row.first_attempt, row.state) == (2, 1, "new")


def _crashing(program: Program, url: str, port: int) -> subprocess.Popen[bytes]:
    command = ("-m", "uvicorn", "--factory", "tests.webhooks.crashing:create")
    return subprocess.Popen(
        [sys.executable, *command, "--port", str(port), "--log-level", "warning"],
        cwd=ROOT,
        env=program.environment(environment(url)),
        stdin=subprocess.DEVNULL,
    )


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


async def test_case_023_killed_under_load(database_url: str, program: Program) -> None:
    """Kill -9 at any point: what was answered is stored, what was not is sent again and stored once."""
    bodies = [hook_body(number) for number in range(5_000)]
    acknowledged: set[str] = set()
    server, address = serving(program, database_url)
    async with httpx.AsyncClient(base_url=address) as web:
        senders = [
            asyncio.create_task(_send_until_it_dies(web, bodies[start::8], acknowledged))
            for start in range(8)
        ]
        await until(lambda: len(acknowledged) > 200)
        server.kill()
        await asyncio.gather(*senders)
    stored = await stored_in(database_url)
    assert len(acknowledged) < len(bodies)
    assert acknowledged <= set(stored)
    async with taking_hooks(database_url) as taking:
        unsure = [body for body in bodies if id_of(body) not in acknowledged][:100]
        for body in unsure:
            assert (await taking.send(body)).status_code == 200
        ids = [row.id for row in await taking.rows()]
        assert acknowledged | {id_of(body) for body in unsure} <= set(ids)


async def _send_until_it_dies(
    web: httpx.AsyncClient, bodies: list[bytes], acknowledged: set[str]
) -> None:
    for body in bodies:
        try:
            answer = await web.post(PATH, content=body, headers=headers_for(body))
        except httpx.TransportError:
            return
        assert answer.status_code == 200
        acknowledged.add(id_of(body))


def serving(program: Program, url: str) -> tuple[Running, str]:
    """`crispsync serve` and its address."""
    server = program.start("serve", "--port", "0", env=environment(url))
    return server, server.wait_for_line(r"serves (http://\S+)").group(1)


@pytest.mark.parametrize("announced", [True, False], ids=["Content-Length", "chunked"])
async def test_case_012_fifty_megabytes(sqlite_url: str, program: Program, announced: bool) -> None:
    server, address = serving(program, sqlite_url)
    process = psutil.Process(server.pid)
    async with httpx.AsyncClient(base_url=address, timeout=60) as web:
        small = hook_body()
        assert (await web.post(PATH, content=small, headers=headers_for(small))).status_code == 200
        await web.post(PATH, content=b" " * MOST_BYTES, headers=headers_for(small))
        before = process.memory_info().rss
        for _ in range(3):
            status = await asyncio.to_thread(pour, address, announced)
            assert status == 413
            assert process.memory_info().rss < before + 5 * MEGABYTE
        assert (await web.post(PATH, content=small, headers=headers_for(small))).status_code == 200


async def test_case_012_a_sender_that_trickles(sqlite_url: str, program: Program) -> None:
    """Hundreds of senders that never finish do not keep a good one waiting."""
    _, address = serving(program, sqlite_url)
    url = httpx.URL(address)
    head = f"POST {PATH} HTTP/1.1\r\nHost: crispsync\r\nContent-Length: 5000\r\n\r\nx".encode()
    callers = [socket.create_connection((url.host, url.port or 80)) for _ in range(200)]
    for caller in callers:
        caller.sendall(head)
    async with httpx.AsyncClient(base_url=address, timeout=60) as web:
        body = hook_body()
        answer = await web.post(PATH, content=body, headers=headers_for(body))
        assert answer.status_code == 200
    for caller in callers:
        caller.close()
