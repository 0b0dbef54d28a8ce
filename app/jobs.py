"""The bell: tells a worker that there is something to do. The work itself stands in the database.

A bell that nobody hears costs seconds, since workers also look by themselves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

Ring = Callable[[], Awaitable[None]]

PULL = "pull"
"""Name of the job that claims runs and works on them; a test compares it with WorkerSettings."""


async def no_bell() -> None:
    """For a process that only asks: whoever works looks every few seconds."""


async def ring_redis(redis_url: str) -> None:
    """Ring once; a Redis that is away is no reason to fail."""
    import orjson
    import structlog
    from arq import create_pool
    from arq.connections import RedisSettings
    from redis.exceptions import RedisError

    try:
        # arq would try five times and write pickle; somebody waits, and the worker reads JSON.
        settings = replace(RedisSettings.from_dsn(redis_url), conn_retries=0)
        pool = await create_pool(settings, job_serializer=orjson.dumps)
        await pool.enqueue_job(PULL)
        await pool.aclose()
    except (RedisError, OSError) as error:
        structlog.get_logger().warning("bell.unheard", error=type(error).__name__)
