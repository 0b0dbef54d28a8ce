"""A disk that fills up while hooks are taken and a sync runs, and gets room again (FAILURES case 84)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event, insert, make_url

from app.db.session import Database
from app.errors import DiskFull
from app.sync.execute import execute
from app.sync.runs import request_run
from app.webhooks.tables import inbox_events
from tests.beside import runs, sandbox_beside, states, stored_conversations, until
from tests.fixtures import run_folder
from tests.fixtures.databases import sqlite_address
from tests.fixtures.postgres import PostgresServer, run_as
from tests.fixtures.program import Program
from tests.flows.test_hooks_outages import OLD, id_of, made, post, states_of
from tests.hooking import row_of
from tests.pulling import sandbox_and_crispsync

DISK = "64m"


@dataclass
class SmallDisk:
    folder: Path

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        with self.ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                while True:
                    try:
                        file.write(b"\0" * size)
                    except OSError:
                        break

    def empty(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    """A disk of its own, where PostgreSQL's user can reach it; needs the right to mount one."""
    folder = run_folder.current() / f"disk-{uuid4().hex[:8]}"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0777", "tmpfs", str(folder)]
    if (
        shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("Nothing may be mounted here.")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, small_disk: SmallDisk) -> str:
    """A database on that disk."""
    if request.param == "sqlite":
        return sqlite_address(small_disk.folder / "crispsync.db")
    server: PostgresServer = request.getfixturevalue("own_postgres")
    space = small_disk.folder / "space"
    space.mkdir()
    if run_as():
        shutil.chown(space, run_as()["user"], run_as()["group"])
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        connection.execute("CREATE DATABASE crispsync TABLESPACE small")
    address = make_url(server.url).set(database="crispsync")
    return address.render_as_string(hide_password=False)


def test_case_084_a_disk_that_fills_up_and_gets_room_again(
    url: str, small_disk: SmallDisk, program: Program
) -> None:
    assert program.run("migrate", env={"DATABASE_URL": url}).code == 0
    with sandbox_beside(people=60, conversations=150, delay_ms=15, others=()) as box:
        box.connected(url)
        box.with_crispsync(
            url, lambda crisp: request_run(crisp.db, box.website_id, "full", started_by="test")
        )
        uploads = str(program.folder / "uploads")
        env = box.env(url, CRISP_SIGNING_SECRET=OLD, UPLOADS_FOLDER=uploads)
        server = program.start("serve", "--port", "0", env=env)
        address = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
        until(lambda: stored_conversations(url) > 0)
        taken = [made(n) for n in range(3)]
        assert {post(address, body) for body in taken} == {200}

        small_disk.fill()
        number = iter(range(100, 100_000))
        until(lambda: post(address, made(next(number), 1)) == 503)
        server.wait_for_line("DiskFull")
        assert runs(url)[0]["state"] == "running"

        small_disk.empty()
        until(lambda: states(url) == [("full", "done")])
        last = made(7, 2)
        assert post(address, last) == 200
        assert {id_of(body) for body in (*taken, last)} <= states_of(url).keys()
        assert "Traceback" not in server.output
        server.kill()
        box.assert_equals_truth(url)


async def test_case_084_a_sqlite_file_that_may_not_grow(sqlite_url: str) -> None:
    """Through crispsync's own connections: what was in hand stays in hand, and goes on afterwards."""
    async with sandbox_and_crispsync(sqlite_url, people=40, conversations=60, others=()) as crisp:
        held = await crisp.claim("full")
        with no_more_pages(crisp.db):
            await crisp.db.engine.dispose()
            assert await execute(crisp.db, crisp.client, held) == "lost"
            large = row_of(b" " * 3_000_000)
            with pytest.raises(DiskFull, match="disk is full"):
                await crisp.db.transact(
                    lambda connection: connection.execute(insert(inbox_events).values(large))
                )
        await crisp.db.engine.dispose()
        assert (await crisp.last_run()).state == "running"
        assert await execute(crisp.db, crisp.client, held) == "done"
        await crisp.assert_equals_truth()


@contextmanager
def no_more_pages(db: Database) -> Iterator[None]:
    def limit(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # as many as there are

    event.listen(db.engine.sync_engine, "connect", limit)
    yield
    event.remove(db.engine.sync_engine, "connect", limit)
