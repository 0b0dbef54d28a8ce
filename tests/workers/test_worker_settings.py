"""What arq reads, and what rings the bell."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from arq.connections import RedisSettings
from arq.worker import create_worker
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import select, text

from app import jobs
from app.db.session import open_database
from app.jobs import PULL, ring_redis
from app.settings import Settings
from app.sync.runs import request_run
from app.sync.tables import sync_runs
from app.sync.worker import AT_ONCE, Worker
from tests.fixtures.valkey import free_port
from tests.pulling import Crispsync, sandbox_and_crispsync
from workers import main
from workers.main import WorkerSettings, end_for_certain
from workers.works import Works

JOB_KEY = "arq:job:*"


def test_job_names_are_those_of_the_app() -> None:
    names = {function.__name__ for function in WorkerSettings.functions}
    told = {
        value for name, value in vars(jobs).items() if name.isupper() and isinstance(value, str)
    }
    assert names == told == {PULL}


def test_jobs_are_json() -> None:
    written = WorkerSettings.job_serializer({"f": PULL, "a": [], "k": {}})
    assert orjson.loads(written) == {"f": PULL, "a": [], "k": {}}
    with pytest.raises(orjson.JSONDecodeError):
        WorkerSettings.job_deserializer(b"\x80\x04N.")  # a pickle


async def test_the_bell_is_json_too(redis_url: str) -> None:
    await ring_redis(redis_url)
    with Redis.from_url(redis_url) as redis:
        (key,) = redis.keys(JOB_KEY)
        job = WorkerSettings.job_deserializer(redis.get(key))
    assert job["f"] == PULL


async def test_nobody_waits_for_a_bell_without_redis() -> None:
    await asyncio.wait_for(ring_redis(f"redis://127.0.0.1:{free_port()}/0"), timeout=2)


async def test_the_job_only_rings(sqlite_url: str) -> None:
    """A job that waited for a run would fill the worker until it hears no bell any more."""
    db = open_database(sqlite_url)
    works = Works(db, Settings(_env_file=None))
    assert not works.worker.bell.is_set()
    await asyncio.wait_for(main.pull({"works": works}), timeout=1)
    assert works.worker.bell.is_set()
    await db.close()


async def test_case_090_a_swallowed_end_is_asked_for_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a library did at start-up: the worker would go on until somebody kills it."""
    swallowed = asyncio.Event()

    async def start(_ctx: object) -> None:
        worker.loop.call_soon(worker.handle_sig, signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()

    monkeypatch.setattr(main, "ASK_AGAIN", 0.05)
    worker = create_worker(
        {"functions": WorkerSettings.functions, "handle_signals": False},
        redis_settings=RedisSettings.from_dsn(redis_url),
        on_startup=start,
    )
    end_for_certain(worker)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(worker.async_run(), timeout=20)
    assert swallowed.is_set()
    await worker.pool.aclose(close_connection_pool=True)


async def test_no_more_runs_at_once_than_allowed(database_url: str) -> None:
    others = ((5, 5, True),) * (AT_ONCE + 1)
    async with sandbox_and_crispsync(
        database_url, people=5, conversations=5, others=others
    ) as crisp:
        for website_id in crisp.world.sites:
            await crisp.connect(website_id)
            await request_run(crisp.db, website_id, "full", started_by="test")
        async with working(crisp) as worker:
            assert await worker.start_waiting_runs() == AT_ONCE
            await worker.work_off()
        found = await crisp.rows(select(sync_runs.c.state))
        assert [row.state for row in found] == ["done"] * len(crisp.world.sites)


async def test_the_loop_outlives_a_bad_moment(sqlite_url: str) -> None:
    """A look that fails unexpectedly is not the last one."""
    async with sandbox_and_crispsync(sqlite_url) as crisp, working(crisp) as worker:
        async with crisp.db.write() as connection:
            await connection.execute(text("ALTER TABLE sync_runs RENAME TO hidden"))
        loop = asyncio.create_task(worker.work())
        while not worker.bell.is_set():
            # It waits for the bell now, after a look that found no table.
            await asyncio.sleep(0.05)
            worker.bell.set()
        async with crisp.db.write() as connection:
            await connection.execute(text("ALTER TABLE hidden RENAME TO sync_runs"))
        await request_run(crisp.db, crisp.website_id, "full", started_by="test")
        async with asyncio.timeout(20):
            while (await crisp.last_run()).state != "done":
                worker.bell.set()
                await asyncio.sleep(0.05)
        assert not loop.done()
        worker.stopping.set()
        await loop


@asynccontextmanager
async def working(crisp: Crispsync) -> AsyncIterator[Worker]:
    settings = Settings(
        crisp_api_url=crisp.url,
        crisp_identifier=crisp.world.identifier,
        crisp_key=SecretStr(crisp.world.key),
        crisp_daily_quota=1_000_000,
    )
    worker = Worker(crisp.db, settings)
    try:
        yield worker
    finally:
        await worker.close()
