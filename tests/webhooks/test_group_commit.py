"""Deliveries that share a commit: each answer waits for its row, and nobody suffers for a neighbour."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from app import clock
from app.db.session import Database, open_database
from app.errors import DatabaseAway
from app.webhooks import group_commit
from app.webhooks.group_commit import GroupCommit
from app.webhooks.hooks import Hook, read_hook
from app.webhooks.intake import open_inbox
from app.webhooks.store_sqlite import SqliteInbox
from app.webhooks.tables import inbox_events
from tests.flows.steps import until
from tests.webhooks.taking import hook_body, taking_hooks


class Commits(GroupCommit):
    """With its database and the number of times that it rang: once for each group."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.rung = 0
        super().__init__(open_inbox(db), self._count)

    def _count(self) -> None:
        self.rung += 1

    async def stored(self) -> dict[str, int]:
        async with self.db.read() as connection:
            rows = await connection.execute(select(inbox_events))
            return {row.id: row.deliveries for row in rows}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Commits]:
    db = open_database(url)
    commits = Commits(db)
    try:
        yield commits
    finally:
        await commits.close()
        await db.close()


@asynccontextmanager
async def held_up(db: Database) -> AsyncIterator[None]:
    """Nobody can write to the inbox meanwhile."""
    async with db.write() as connection:
        if not db.is_sqlite:
            await connection.execute(text("LOCK TABLE inbox_events IN ACCESS EXCLUSIVE MODE"))
        yield


def hook(number: int = 1) -> Hook:
    return read_hook(hook_body(number), b"", b"1", clock.now())


async def test_those_that_come_together_share_a_commit(database_url: str) -> None:
    async with opened(database_url) as commits:
        # The first goes alone, the others gather behind it or with it.
        await asyncio.gather(*(commits.keep(hook(number)) for number in range(100)))
        assert len(await commits.stored()) == 100
        assert commits.rung <= 2


async def test_the_same_hook_twice_in_a_group_is_one_row(database_url: str) -> None:
    async with opened(database_url) as commits:
        hooks = [hook(number % 3) for number in range(30)]
        await asyncio.gather(*(commits.keep(one) for one in hooks))
        assert sorted((await commits.stored()).values()) == [10, 10, 10]


async def test_the_answer_waits_for_the_commit(database_url: str) -> None:
    async with opened(database_url) as commits:
        async with held_up(commits.db):
            kept = asyncio.create_task(commits.keep(hook()))
            await until(lambda: commits._writing is not None)
            assert not kept.done()
        with suppress(DatabaseAway):  # PostgreSQL gave up waiting for the lock
            await kept
        assert (hook().id in await commits.stored()) == (kept.exception() is None)


async def test_case_021_slower_than_a_sender_waits(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert group_commit.WAIT_SECONDS < 2
    monkeypatch.setattr(group_commit, "WAIT_SECONDS", 0.05)
    async with taking_hooks(database_url) as taking:
        async with held_up(taking.db):
            answer = await taking.send(hook_body())
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
        assert (await until_stored(taking.send, hook_body())).status_code == 200
        assert len(await taking.rows()) == 1


async def until_stored(send: Any, body: bytes) -> Any:
    """Crisp tries again, and we do it at once."""
    async with asyncio.timeout(20):
        while (answer := await send(body)).status_code == 503:
            pass
        return answer


async def test_case_021_an_exhausted_pool_is_no_concern_of_a_hook(database_url: str) -> None:
    async with taking_hooks(database_url) as taking, asyncio.TaskGroup() as group:
        enough, holding = asyncio.Event(), asyncio.Barrier(6)
        for _ in range(5):
            group.create_task(_hold(taking.db, holding, enough))
        await holding.wait()
        assert (await taking.send(hook_body())).status_code == 200
        enough.set()


async def _hold(db: Database, holding: asyncio.Barrier, enough: asyncio.Event) -> None:
    async with db.read() as connection:
        await connection.execute(text("SELECT 1"))
        await holding.wait()
        await enough.wait()


async def test_a_full_queue_refuses_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 3)
    async with opened(database_url) as commits:
        async with held_up(commits.db):
            first = asyncio.create_task(commits.keep(hook(0)))
            await until(lambda: commits._writing is not None and not commits._queue)
            others = [asyncio.create_task(commits.keep(hook(n))) for n in range(1, 4)]
            await until(lambda: len(commits._queue) == 3)
            with pytest.raises(DatabaseAway, match="Too many"):
                await commits.keep(hook(4))
        results = await asyncio.gather(first, *others, return_exceptions=True)
        stored = await commits.stored()
        for number, result in enumerate(results):
            assert result is not None or hook(number).id in stored
        await commits.keep(hook(5))


async def test_bytes_that_wait_are_limited(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING_BYTES", len(hook().body) - 1)
    async with opened(database_url) as commits:
        with pytest.raises(DatabaseAway, match="Too many"):
            await commits.keep(hook())
        monkeypatch.setattr(group_commit, "MOST_WAITING_BYTES", len(hook().body))
        for number in range(5):
            await commits.keep(hook(number))


async def test_a_row_that_cannot_be_stored_does_not_fail_its_neighbours(database_url: str) -> None:
    """Nothing that comes over HTTP is like that (`read_hook`); a fault of ours might be."""
    async with opened(database_url) as commits:
        poison = replace(hook(3), event="\ud800")
        hooks = [poison if number == 3 else hook(number) for number in range(8)]
        results = await asyncio.gather(
            *(commits.keep(one) for one in hooks), return_exceptions=True
        )
        assert [type(result) for result in results].count(DatabaseAway) == 1
        assert isinstance(results[3], DatabaseAway)
        assert set(await commits.stored()) == {one.id for one in hooks} - {poison.id}


async def test_a_refused_value_does_not_fail_its_neighbours(database_url: str) -> None:
    """The database itself refuses it, in the middle of the transaction."""
    async with opened(database_url) as commits:
        poison = replace(hook(3), emitted_ms=2**62 * 4)
        hooks = [poison if number == 3 else hook(number) for number in range(8)]
        results = await asyncio.gather(
            *(commits.keep(one) for one in hooks), return_exceptions=True
        )
        assert [n for n, result in enumerate(results) if result is not None] == [3]
        assert set(await commits.stored()) == {one.id for one in hooks} - {poison.id}
        await commits.keep(hook(3))


async def test_whoever_gave_up_does_not_hold_up_the_others(database_url: str) -> None:
    async with opened(database_url) as commits:
        senders = [asyncio.create_task(commits.keep(hook(number))) for number in range(6)]
        await asyncio.sleep(0)
        for sender in senders[::2]:
            sender.cancel()
        results = await asyncio.gather(*senders, return_exceptions=True)
        assert results[1::2] == [None, None, None]
        assert {hook(number).id for number in (1, 3, 5)} <= set(await commits.stored())
        assert commits._queued_bytes == 0


async def test_the_writer_survives_its_own_cancellation(database_url: str) -> None:
    async with opened(database_url) as commits:
        async with held_up(commits.db):
            senders = [asyncio.create_task(commits.keep(hook(0)))]
            await until(lambda: commits._writing is not None and not commits._queue)
            senders.append(asyncio.create_task(commits.keep(hook(1))))
            await until(lambda: len(commits._queue) == 1)
            assert commits._writing is not None
            commits._writing.cancel()
            results = await asyncio.gather(*senders, return_exceptions=True)
        assert [type(result) for result in results] == [DatabaseAway, DatabaseAway]
        await commits.keep(hook(2))
        assert hook(2).id in await commits.stored()


async def test_what_was_taken_is_finished_on_shutdown(database_url: str) -> None:
    async with opened(database_url) as commits:
        senders = [asyncio.create_task(commits.keep(hook(number))) for number in range(20)]
        await asyncio.sleep(0)
        await commits.close()
        assert await asyncio.gather(*senders) == [None] * 20
        with pytest.raises(DatabaseAway):
            await commits.keep(hook(99))
        assert len(await commits.stored()) == 20


async def test_a_row_that_somebody_holds_does_not_hold_up_hooks(
    migrated_postgres_url: str,
) -> None:
    """The applier holds its rows while it works on them; a delivery of one of them comes again."""
    async with opened(migrated_postgres_url) as commits:
        await commits.keep(hook(1))
        async with commits.db.write() as connection:
            await connection.execute(select(inbox_events).with_for_update())
            await asyncio.gather(commits.keep(hook(1)), commits.keep(hook(2)))
        assert set(await commits.stored()) == {hook(1).id, hook(2).id}


async def test_case_081_another_process_writes_to_the_file(sqlite_url: str) -> None:
    """It is waited for, and then refused: never an answer without a commit."""
    async with opened(sqlite_url) as commits:
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite+aiosqlite:///"))
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseAway):
            await commits.keep(hook())
        other.execute("ROLLBACK")
        other.close()
        await commits.keep(hook())
        assert await commits.stored() == {hook().id: 1}


async def test_case_084_a_full_disk(sqlite_url: str) -> None:
    async with opened(sqlite_url) as commits:
        await commits.keep(hook(0))
        inbox = commits._inbox
        assert isinstance(inbox, SqliteInbox)
        assert inbox._connection is not None
        inbox._connection.execute("PRAGMA max_page_count = 1")  # as many as there are
        large = read_hook(hook_body() + b" " * 900_000, b"", b"1", clock.now())
        with pytest.raises(DatabaseAway):
            await commits.keep(large)
        assert set(await commits.stored()) == {hook(0).id}
        await commits.keep(hook(1))


async def test_on_sqlite_a_commit_reaches_the_disk(sqlite_url: str) -> None:
    async with opened(sqlite_url) as commits:
        await commits.keep(hook())
        inbox = commits._inbox
        assert isinstance(inbox, SqliteInbox)
        assert inbox._connection is not None
        assert inbox._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert inbox._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
