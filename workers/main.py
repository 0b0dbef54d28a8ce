"""arq's WorkerSettings: the bell of runs, start-up, and how it ends.

Nothing that has to be done goes through Redis: each process looks into the database by itself (workers/works.py),
so a Redis that is away, full, read-only or slow costs seconds (FAILURES cases 22 and 85).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any, ClassVar

import orjson
from arq.worker import create_worker
from redis.exceptions import RedisError

from app.db.session import open_database
from app.jobs import look_at_redis, open_redis
from app.logs import configure_logs
from app.settings import get_settings
from app.vault.store import check_at_start
from workers.works import Works

ASK_AGAIN = 2.0  # seconds
LOOK_AT_REDIS_EVERY = 3.0


async def start(ctx: dict[str, Any]) -> None:
    settings = get_settings()
    configure_logs()
    ctx["db"] = open_database(settings.database_url)
    await check_at_start(ctx["db"], settings)
    ctx["works"] = Works(ctx["db"], settings)
    ctx["works"].start()


async def stop(ctx: dict[str, Any]) -> None:
    """Harmless when repeated, and when nothing was started."""
    if "works" in ctx:
        await ctx.pop("works").stop()
        await ctx.pop("db").close()


async def pull(ctx: dict[str, Any]) -> None:
    """Look for runs now instead of within two seconds."""
    ctx["works"].worker.bell.set()


class WorkerSettings:
    """Read by arq. JSON on the wire: pickle would run what somebody else put into Redis (case 98)."""

    functions: ClassVar[list[Any]] = [pull]
    on_startup = start
    on_shutdown = stop
    job_serializer = orjson.dumps
    job_deserializer = orjson.loads
    keep_result = 0
    max_jobs = 50
    max_tries = 1
    handle_signals = True


def end_for_certain(worker: Any) -> asyncio.Event:
    """Ask again until it has ended: arq cancels once, and a library may swallow that (FAILURES case 90).

    It was seen at start-up: the worker then went on until it was killed, and kept its leases.
    What is returned is set as soon as it was told to end.
    """
    told = asyncio.Event()

    def again() -> None:
        waits = [task for task in (worker.main_task, *worker.tasks.values()) if not task.done()]
        for task in waits:
            task.cancel()
        if waits:
            worker.loop.call_later(ASK_AGAIN, again)

    def on_stop(_signal: signal.Signals) -> None:
        told.set()
        worker.loop.call_later(ASK_AGAIN, again)

    worker.on_stop = on_stop
    return told


def run() -> None:
    """Until SIGTERM or SIGINT. Raises RedisError or OSError when Redis is away or takes no writes."""
    settings: Any = WorkerSettings  # arq types its base class, which it does not ask for
    pool = open_redis(get_settings().redis_url or "redis://127.0.0.1:6379")
    worker = create_worker(settings, redis_pool=pool)
    told = end_for_certain(worker)
    try:
        worker.run()
    except (RedisError, OSError):
        if not told.is_set():  # else it ends as it was asked to, whatever Redis says to that
            raise
    finally:
        # arq does not come to it when Redis went: a batch cut off would keep its website's lock.
        worker.loop.run_until_complete(stop(worker.ctx))
        worker.loop.run_until_complete(pool.aclose(close_connection_pool=True))
        worker.loop.close()
        asyncio.set_event_loop(None)


def work_without_redis() -> bool:
    """Until Redis takes writes again; False when told to end."""
    return asyncio.run(_work_without_redis(get_settings().redis_url or ""))


async def _work_without_redis(redis_url: str) -> bool:
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    ctx: dict[str, Any] = {}
    await start(ctx)
    try:
        while not ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), LOOK_AT_REDIS_EVERY)
            if (await look_at_redis(redis_url)).works:
                break
    finally:
        await stop(ctx)
    return not ending.is_set()
