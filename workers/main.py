"""arq's WorkerSettings: the jobs, the clock that rings by itself, start-up."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import Any, ClassVar

import orjson
from arq import cron
from arq.connections import RedisSettings
from arq.worker import create_worker

from app.db.migrate import upgrade
from app.db.session import open_database
from app.logs import configure_logs
from app.settings import get_settings
from app.sync.schedule import queue_due_audits, queue_due_runs
from app.sync.worker import Worker
from app.vault.store import check_at_start
from workers.feed import FeedWork
from workers.hooks import HookWork
from workers.imports import ImportWork

DAY = 24 * 3600
ASK_AGAIN = 2.0  # seconds


async def start(ctx: dict[str, Any]) -> None:
    settings = get_settings()
    configure_logs()
    ctx["db"] = open_database(settings.database_url)
    await check_at_start(ctx["db"], settings)
    ctx["worker"] = Worker(ctx["db"], settings)
    ctx["hooks"] = HookWork(ctx["db"], ctx["worker"])
    ctx["hooks"].start()
    ctx["imports"] = ImportWork(ctx["db"], settings)
    ctx["imports"].start()
    ctx["feed"] = FeedWork(ctx["db"], settings)
    ctx["feed"].start()


async def stop(ctx: dict[str, Any]) -> None:
    """Harmless when repeated, and when nothing was started."""
    if "hooks" not in ctx:
        return
    await ctx.pop("feed").stop()
    await ctx.pop("imports").stop()
    await ctx.pop("hooks").stop()
    await ctx.pop("worker").close()
    await ctx.pop("db").close()


async def pull(ctx: dict[str, Any]) -> None:
    """Work off the runs that wait. Harmless when repeated: each run has one lease."""
    await ctx["worker"].work_off()


async def schedule(ctx: dict[str, Any]) -> None:
    """Queue what is due, and take over what a killed worker left, without any bell."""
    await queue_due_runs(ctx["db"], get_settings().sync_every_minutes)
    await queue_due_audits(ctx["db"], get_settings())
    await ctx["worker"].work_off()


def migrate_first() -> None:
    upgrade(get_settings().database_url)


def dump(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value)


class WorkerSettings:
    """Read by arq. JSON on the wire: pickle would run what somebody else put into Redis (case 98)."""

    functions: ClassVar[list[Any]] = [pull]
    cron_jobs: ClassVar[list[Any]] = [
        cron(schedule, second=set(range(0, 60, 5)), unique=False, timeout=DAY, keep_result=0)
    ]
    on_startup = start
    on_shutdown = stop
    # arq would try five times, and nothing would be applied meanwhile: `run` begins again instead.
    redis_settings = replace(
        RedisSettings.from_dsn(get_settings().redis_url or "redis://127.0.0.1:6379"), conn_retries=0
    )
    job_serializer = dump
    job_deserializer = orjson.loads
    keep_result = 0
    max_jobs = 50
    max_tries = 1
    job_timeout = DAY
    handle_signals = True


def end_for_certain(worker: Any) -> None:
    """Ask again until it has ended: arq cancels once, and a library may swallow that (FAILURES case 90).

    It was seen at start-up: the worker then went on until it was killed, and kept its leases.
    """

    def again() -> None:
        waits = [task for task in (worker.main_task, *worker.tasks.values()) if not task.done()]
        for task in waits:
            task.cancel()
        if waits:
            worker.loop.call_later(ASK_AGAIN, again)

    worker.on_stop = lambda _signal: worker.loop.call_later(ASK_AGAIN, again)


def run() -> None:
    """Until SIGTERM or SIGINT. Raises RedisError or OSError when Redis is away."""
    settings: Any = WorkerSettings  # arq types its base class, which it does not ask for
    worker = create_worker(settings)
    end_for_certain(worker)
    try:
        worker.run()
    finally:
        # arq does not come to it when Redis went: a batch cut off would keep its website's lock.
        worker.loop.run_until_complete(stop(worker.ctx))
        worker.loop.close()
        asyncio.set_event_loop(None)


def apply_without_redis(seconds: float) -> bool:
    """Hooks need no Redis (FAILURES case 22): work on them meanwhile; False when told to end."""
    return asyncio.run(_apply_without_redis(seconds))


async def _apply_without_redis(seconds: float) -> bool:
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    ctx: dict[str, Any] = {}
    await start(ctx)
    try:
        async with asyncio.timeout(seconds):
            await ending.wait()
    except TimeoutError:
        pass
    finally:
        await stop(ctx)
    return not ending.is_set()
