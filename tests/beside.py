"""For tests that run the program: a sandbox on a thread, and a look into the program's database.

with sandbox_beside(people=60, conversations=120) as box:
    env = box.connected(database_url)
    assert program.run("sync", "--full", "--wait", env=env).code == 0
    box.assert_equals_truth(database_url)
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import Any

from sqlalchemy import Table, select

from app.conversations.tables import conversations
from app.db.migrate import open_for_migration
from app.sandbox.serve import serve
from app.sandbox.world import World
from app.sync.tables import sync_runs
from app.tables import metadata
from tests.pulling import Crispsync, opened

# What Crisp was asked counts also when nothing came of it.
QUOTA = ("quota_usage", "quota_pauses")


@dataclass(frozen=True, slots=True)
class Box:
    """A sandbox that answers at `url`."""

    world: World
    url: str

    @property
    def website_id(self) -> str:
        return self.world.website_id

    def env(self, database_url: str, **more: str) -> dict[str, str]:
        """All that crispsync needs to use this sandbox and that database."""
        return {
            "DATABASE_URL": database_url,
            "CRISP_API_URL": self.url,
            "CRISP_IDENTIFIER": self.world.identifier,
            "CRISP_KEY": self.world.key,
            "CRISP_PLUGIN_ID": self.world.plugin_id,
            "CRISP_DAILY_QUOTA": "1000000",
            **more,
        }

    def connected(self, database_url: str, **more: str) -> dict[str, str]:
        """Connect the website (here, which is quicker); the environment for the program."""

        async def connect(crisp: Crispsync) -> None:
            await crisp.connect()
            await crisp.client.budget.give_back()

        self.with_crispsync(database_url, connect)
        return self.env(database_url, **more)

    def pulled(self, database_url: str, **more: str) -> dict[str, str]:
        """Connected and imported."""

        async def pull(crisp: Crispsync) -> None:
            assert await crisp.run("full") == "done"

        env = self.connected(database_url, **more)
        self.with_crispsync(database_url, pull)
        return env

    def assert_equals_truth(self, database_url: str) -> None:
        self.with_crispsync(database_url, Crispsync.assert_equals_truth)

    def with_crispsync(
        self, database_url: str, work: Callable[[Crispsync], Awaitable[Any]]
    ) -> None:
        """In this process, as one of crispsync would."""

        async def run() -> None:
            async with opened(self.world, self.url, database_url) as crisp:
                await work(crisp)

        asyncio.run(run())

    def asked(self) -> Counter[tuple[str, ...]]:
        """How often each request was made: route, its arguments, its parameters."""
        return Counter(
            (one.route, *one.args, *(f"{k}={v}" for k, v in sorted(one.params.items())))
            for one in self.world.counters.log
        )


@contextmanager
def sandbox_beside(people: int = 30, conversations: int = 60, **options: Any) -> Iterator[Box]:
    """Serve a world in a thread of its own; `options` are World's."""
    world = World(1, people, conversations, **options)
    told: Queue[Any] = Queue()

    async def main() -> None:
        stop = asyncio.Event()
        async with serve(world) as url:
            told.put((url, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    url, loop, stop = told.get(timeout=30)
    try:
        yield Box(world, url)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    """Look again and again until it is true; what it was then."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"still not so after {seconds} seconds"
        time.sleep(0.05)
    return found


def fetch(database_url: str, query: Any) -> Sequence[Any]:
    with open_for_migration(database_url) as connection:
        return connection.execute(query).all()


def change(database_url: str, statement: Any) -> None:
    with open_for_migration(database_url) as connection:
        connection.execute(statement)
        connection.commit()


def contents(database_url: str, without: Sequence[str] = ()) -> dict[str, list[str]]:
    """Every row of every table, to compare before with after."""
    return {
        table.name: sorted(repr(tuple(row)) for row in fetch(database_url, select(table)))
        for table in metadata.sorted_tables
        if table.name not in without
    }


def rows_of(database_url: str, website_id: str) -> dict[str, int]:
    """How many rows of a website each table has; tables without any, and the audit log, are left out."""

    def column(table: Table) -> Any:
        return table.c.id if table.name == "websites" else table.c.get("website_id")

    found = {
        table.name: len(fetch(database_url, select(table).where(column(table) == website_id)))
        for table in metadata.sorted_tables
        if column(table) is not None and table.name != "audit_log"
    }
    return {name: count for name, count in found.items() if count}


def runs(database_url: str) -> list[Mapping[str, Any]]:
    """All runs, oldest first."""
    rows = fetch(database_url, select(sync_runs).order_by(sync_runs.c.created_at))
    return [row._mapping for row in rows]


def states(database_url: str) -> list[tuple[str, str]]:
    return [(run["kind"], run["state"]) for run in runs(database_url)]


def stored_conversations(database_url: str) -> int:
    return len(fetch(database_url, select(conversations.c.id)))


def assert_one_sentence(stderr: str) -> None:
    """One line that begins with the program's name and ends like a sentence, and no traceback."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("crispsync: "), stderr
    assert "Traceback" not in stderr
