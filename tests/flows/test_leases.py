"""Who works on a run: killed, stopped, started again, paused and woken up, twice at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import EPOCH
from app.conversations.tables import conversations, messages
from app.crisp import translate
from app.db.session import Database
from app.records import Batch
from app.sandbox.serve import serve
from app.sandbox.world import World
from app.settings import Settings
from app.sync.conversations import fetch_conversations
from app.sync.execute import Ending, _end, execute
from app.sync.leases import Claim, LeaseLost, claim, fence, finish, release
from app.sync.pull import split_rejected
from app.sync.readers import UNWRITTEN
from app.sync.runs import request_run
from app.sync.tables import sync_runs
from app.sync.worker import Worker
from tests.fixtures.program import Program, Running
from tests.flows.steps import CONVERSATIONS, MESSAGES, PEOPLE, pull_of, until, website_row
from tests.pulling import Crispsync, opened, sandbox_and_crispsync


@dataclass(slots=True)
class Outside:
    """crispsync as programs of their own, against a sandbox in this process."""

    crisp: Crispsync
    program: Program
    env: Mapping[str, str]

    def start(self, *arguments: str) -> Running:
        return self.program.start(*arguments, env=self.env)

    async def ended(self, running: Running) -> int:
        return await asyncio.to_thread(running.wait, 60)


@contextlib.asynccontextmanager
async def outside(
    database_url: str, program: Program, *, people: int, conversations: int
) -> AsyncIterator[Outside]:
    world = World(1, people, conversations, others=(), delay_ms=4)
    async with serve(world) as url, opened(world, url, database_url) as crisp:
        await crisp.connect()
        await crisp.client.budget.give_back()
        world.counters.reset()
        world.counters.keep_log(100_000)
        env = {
            "DATABASE_URL": database_url,
            "CRISP_API_URL": url,
            "CRISP_IDENTIFIER": world.identifier,
            "CRISP_KEY": world.key,
            "CRISP_PLUGIN_ID": world.plugin_id,
            "CRISP_DAILY_QUOTA": "1000000",
            "LEASE_SECONDS": "1",
        }
        yield Outside(crisp, program, env)


def batches(crisp: Crispsync) -> int:
    """How many requests the messages of all conversations take, each asked for once."""
    site = crisp.world.main
    return sum(max(1, -(-site.message_count(i) // 39)) for i in site.by_update.numbers())


def count(crisp: Crispsync, route: str) -> int:
    return int(crisp.world.counters.by_route[route])


async def test_case_032_killed_in_the_middle_of_a_page(database_url: str, program: Program) -> None:
    """SPEC S5: kill -9 three times; the run goes on where it was, and is complete."""
    async with outside(database_url, program, people=120, conversations=260) as out:
        crisp = out.crisp
        kills = 3
        for n in range(1, kills + 1):
            running = out.start("sync", "--full", "--wait")
            await until(partial(_asked, crisp, n * 60))
            assert running.alive, "it must be at work when it is killed"
            await asyncio.to_thread(running.kill)
        running = out.start("sync", "--full", "--wait")
        assert await out.ended(running) == 0, running.output
        await crisp.assert_equals_truth()
        rows = await crisp.rows(select(sync_runs))
        assert [(row.kind, row.state) for row in rows] == [("full", "done")], "one run all the time"
        assert rows[0].lease_epoch == kills + 1
        # A page that was being read, and what was found out about where the list ends.
        assert count(crisp, PEOPLE) <= 12 + 4 * kills
        assert count(crisp, CONVERSATIONS) <= 20 + 8 * kills
        # What was under way or read and not yet written.
        assert UNWRITTEN <= 50, "at most one page is repeated"
        assert count(crisp, MESSAGES) <= batches(crisp) + kills * UNWRITTEN


async def test_case_032_nothing_of_a_page_without_its_checkpoint(database_url: str) -> None:
    """Rows and checkpoint are one transaction: the page fails, and neither is there."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=10) as crisp:
        held = await crisp.claim("full")
        pull = await pull_of(crisp, held)

        async def killed(connection: AsyncConnection) -> None:
            raise asyncio.CancelledError

        page = await fetch_conversations(pull, 0, None)(1)
        records, _ = split_rejected(
            [translate.conversation(i, page.asked_ms, direct=False) for i in page.items]
        )
        batch = Batch(crisp.website_id, conversations=records)
        with pytest.raises(asyncio.CancelledError):
            await pull.save(
                batch, killed, checkpoint={"page": 7}, counts={"conversations_done": 10}
            )
        assert (await crisp.rows(select(func.count()).select_from(conversations)))[0][0] == 0
        row = await crisp.last_run()
        assert (row.checkpoint, row.counts) == ({}, {})
        assert (held.checkpoint, held.counts) == ({}, {})
        await pull.save(batch, checkpoint={"page": 7}, counts={"conversations_done": 10})
        assert (await crisp.rows(select(func.count()).select_from(conversations)))[0][0] == 10
        assert (await crisp.last_run()).checkpoint["page"] == 7


async def test_case_032_cut_off_at_every_moment(database_url: str) -> None:
    """Cancelled again and again, each time a little later; every claim comes further."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=130) as crisp:
        run_id = await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        state, parts = "", 0
        while state != "done":
            held = await claim(crisp.db, "test", 10, run_id)
            assert held is not None, "a run that was let go can be taken at once"
            parts += 1
            work = asyncio.create_task(execute(crisp.db, crisp.client, held))
            enough = crisp.world.counters.total + 60 + parts
            while not work.done() and crisp.world.counters.total < enough:
                await asyncio.sleep(0)
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                state = await work
            assert parts < 20, "it does not come forward"
        assert parts > 2
        await crisp.assert_equals_truth()


async def test_case_033_twenty_deploys_during_one_sync(database_url: str) -> None:  # SPEC S5
    """Workers that are told to stop let go of their run; the next goes on at once. None is dropped."""
    async with sandbox_and_crispsync(database_url, people=100, conversations=150) as crisp:
        crisp.world.delay_ms = 2
        await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        settings = _settings(crisp, database_url)
        for deploy in range(1, 21):
            worker = Worker(crisp.db, settings)
            working = asyncio.create_task(worker.work())
            await until(partial(_asked, crisp, crisp.world.counters.total + 10))
            worker.stopping.set()
            await working
            await worker.close()
            row = await crisp.last_run()
            assert (row.state, row.lease_epoch) == ("running", deploy)
            assert row.lease_until_ms == 0, "nobody has to wait for its lease to end"
        worker = Worker(crisp.db, settings)
        await worker.work_off()
        await worker.close()
        row = await crisp.last_run()
        assert (row.state, row.lease_epoch) == ("done", 21)
        await crisp.assert_equals_truth()
        assert count(crisp, MESSAGES) <= batches(crisp) + 20 * (8 + 20)


async def test_case_033_sigterm_of_the_real_service(sqlite_url: str, program: Program) -> None:
    """`crispsync serve` is told to stop twice in the middle of an import; the third finishes it."""
    async with outside(sqlite_url, program, people=100, conversations=200) as out:
        crisp = out.crisp
        await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        for n in (1, 2):
            running = out.start("serve", "--port", "0")
            await until(partial(_asked, crisp, n * 60))
            code = await asyncio.to_thread(running.stop, 20)
            assert code in {0, -signal.SIGTERM}, running.output
            row = await crisp.last_run()
            assert (row.state, row.lease_until_ms) == ("running", 0)
        running = out.start("serve", "--port", "0")
        async with asyncio.timeout(60):
            while (await crisp.last_run()).state != "done":
                await asyncio.sleep(0.1)
        await asyncio.to_thread(running.stop, 20)
        await crisp.assert_equals_truth()


async def test_case_034_two_ask_for_the_same_run(database_url: str) -> None:  # SPEC S5
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        async with opened(crisp.world, crisp.url, database_url) as other:
            ids = await asyncio.gather(
                *(
                    request_run(one.db, crisp.website_id, "full", started_by="test")
                    for one in (crisp, other)
                    for _ in range(8)
                )
            )
            assert len(set(ids)) == 1
            claims = await asyncio.gather(
                *(claim(one.db, "test", 10) for one in (crisp, other) for _ in range(8))
            )
        assert sum(held is not None for held in claims) == 1


async def test_case_034_old_epoch_writes_nothing(database_url: str) -> None:
    """Whoever lost the run can neither save, finish, park, release nor keep it. SPEC S5"""
    async with sandbox_and_crispsync(database_url, people=20, conversations=30) as crisp:
        old = await crisp.claim("full")
        await _end_lease(crisp.db)
        new = await claim(crisp.db, "other", 10)
        assert new is not None
        assert (new.run_id, new.epoch) == (old.run_id, old.epoch + 1)
        before = await crisp.last_run()
        assert await execute(crisp.db, crisp.client, old) == "lost"
        for step in _writing_steps(old):
            with contextlib.suppress(LeaseLost):
                await crisp.db.transact(step)
        await release(crisp.db, old)
        assert await crisp.last_run() == before
        assert (await crisp.rows(select(func.count()).select_from(conversations)))[0][0] == 0
        assert await execute(crisp.db, crisp.client, new) == "done"
        await crisp.assert_equals_truth()


async def test_case_034_old_epoch_tells_nothing_of_the_website(database_url: str) -> None:
    """A refusal that a woken worker got long ago says nothing about the website of now."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        old = await crisp.claim("full")
        pull = await pull_of(crisp, old)
        await _end_lease(crisp.db)
        assert await claim(crisp.db, "other", 10) is not None
        for ending in (
            Ending("cancelled", "Not installed.", uninstalled=True),
            Ending("failed", "No scope.", website_attention="No scope."),
        ):
            with pytest.raises(LeaseLost):
                await _end(pull, ending)
        website = await website_row(crisp)
        assert (website.status, website.attention) == ("connected", None)


async def test_case_034_lost_in_the_middle_of_the_work(database_url: str) -> None:
    """Two workers on one run, the first thinks it still has it: every row is written by the second."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=80) as crisp:
        async with opened(crisp.world, crisp.url, database_url) as other:
            first = await crisp.claim("full")
            first.lease_ms = 3_600_000  # its heartbeat is asleep, as that of a stopped process
            crisp.world.faults.add("slow", route=MESSAGES, delay_ms=400, count=16)
            working = asyncio.create_task(execute(crisp.db, crisp.client, first))
            await until(lambda: count(crisp, MESSAGES) >= 8)
            async with asyncio.timeout(20):
                while (second := await claim(other.db, "other", 10)) is None:
                    await _end_lease(crisp.db)  # each page that is saved prolongs it
            assert await execute(other.db, other.client, second) == "done"
            assert await working == "lost"
        row = await crisp.last_run()
        assert (row.state, row.lease_epoch) == ("done", second.epoch)
        await crisp.assert_equals_truth()


async def test_case_034_stopped_process_wakes_up(
    migrated_postgres_url: str, program: Program
) -> None:
    """SIGSTOP, somebody else finishes the run, SIGCONT: it writes nothing and ends well. SPEC S5"""
    async with outside(migrated_postgres_url, program, people=100, conversations=160) as out:
        crisp = out.crisp
        sleeper = out.start("sync", "--full", "--wait")
        await until(lambda: crisp.world.counters.total >= 80)
        await _stop_between_transactions(crisp.db, sleeper)
        finisher = out.start("sync", "--full", "--wait")
        assert await out.ended(finisher) == 0, finisher.output
        await crisp.assert_equals_truth()
        before = await _fingerprint(crisp)
        sleeper.process.send_signal(signal.SIGCONT)
        assert await out.ended(sleeper) == 0, sleeper.output
        assert await _fingerprint(crisp) == before
        rows = await crisp.rows(select(sync_runs))
        assert [(row.state, row.lease_epoch) for row in rows] == [("done", 2)]


async def test_case_034_lease_is_on_the_clock_of_the_database(database_url: str) -> None:
    """A lease that ends in the future by the database's clock is nobody else's. FAILURES case 52"""
    async with sandbox_and_crispsync(database_url, people=5, conversations=5) as crisp:
        held = await crisp.claim("full")
        assert await claim(crisp.db, "other", 10) is None
        assert await claim(crisp.db, "other", 10, held.run_id) is None
        await crisp.db.transact(lambda connection: fence(connection, held))
        await release(crisp.db, held)
        taken = await claim(crisp.db, "other", 10, held.run_id)
        assert taken is not None
        with pytest.raises(LeaseLost):
            await crisp.db.transact(lambda connection: fence(connection, held))


def _asked(crisp: Crispsync, enough: int) -> bool:
    return crisp.world.counters.total >= enough


def _writing_steps(held: Claim) -> list[Callable[[AsyncConnection], Awaitable[None]]]:
    async def fenced(connection: AsyncConnection) -> None:
        await fence(connection, held, requests=100)

    async def kept(connection: AsyncConnection) -> None:
        await fence(connection, held, save=False)

    async def finished(connection: AsyncConnection) -> None:
        await finish(connection, held, "done")

    async def parked(connection: AsyncConnection) -> None:
        await finish(connection, held, "paused", resume_at=EPOCH)

    return [fenced, kept, finished, parked]


async def _end_lease(db: Database) -> None:
    """As if the lease of whoever holds a run had run out."""
    async with db.write() as connection:
        await connection.execute(update(sync_runs).values(lease_until_ms=1))


async def _stop_between_transactions(db: Database, running: Running) -> None:
    """SIGSTOP at a moment when the process holds no lock in the database."""
    process = psutil.Process(running.pid)
    async with asyncio.timeout(20):
        while True:
            process.suspend()
            async with db.read() as connection:
                open_ones = await connection.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND pid <> pg_backend_pid() AND state <> 'idle'"
                    )
                )
            if not open_ones:
                return
            process.resume()


async def _fingerprint(crisp: Crispsync) -> list[tuple[Any, ...]]:
    """What any further write of rows or of the run would change."""
    seen = select(func.sum(conversations.c.seen_ms), func.sum(conversations.c.observed_ms))
    written = select(func.sum(messages.c.observed_ms), func.count()).select_from(messages)
    run = select(sync_runs.c.requests, sync_runs.c.counts, sync_runs.c.finished_at)
    return [tuple((await crisp.rows(query))[0]) for query in (seen, written, run)]


def _settings(crisp: Crispsync, database_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        crisp_api_url=crisp.url,
        crisp_identifier=crisp.world.identifier,
        crisp_key=SecretStr(crisp.world.key),
        crisp_daily_quota=1_000_000,
        lease_seconds=10,
    )
