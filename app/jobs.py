"""The bell: tells a worker that there is something to do. The work itself stands in the database.

A bell that nobody hears costs seconds, since workers also look by themselves. So no fault of Redis may cost more:
nobody waits for it longer than PATIENCE, and what it refuses is only told (FAILURES cases 22 and 85).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arq.connections import ArqRedis

Ring = Callable[[], Awaitable[None]]

PULL = "pull"
"""Name of the job that makes a worker look for runs; a test compares it with WorkerSettings."""
PATIENCE = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class RedisLook:
    """What is wrong with Redis, as the name of the error; `may_evict` what it may do to keys of ours."""

    away: str | None = None
    refuses: str | None = None
    may_evict: str | None = None

    @property
    def works(self) -> bool:
        return self.away is None and self.refuses is None


async def no_bell() -> None:
    """For a process that only asks: whoever works looks every few seconds."""


def open_redis(redis_url: str) -> ArqRedis:
    """A client that gives up on whoever hangs, and writes JSON; nothing is connected yet."""
    import orjson
    from arq.connections import ArqRedis

    redis: ArqRedis = ArqRedis.from_url(
        redis_url, socket_connect_timeout=PATIENCE / 2, socket_timeout=PATIENCE
    )
    redis.job_serializer = orjson.dumps  # arq would write pickle
    redis.job_deserializer = orjson.loads
    return redis


@asynccontextmanager
async def _opened(redis_url: str) -> AsyncIterator[ArqRedis]:
    """Raises TimeoutError after PATIENCE, RedisError and OSError."""
    redis = open_redis(redis_url)
    try:
        async with asyncio.timeout(PATIENCE):
            yield redis
    finally:
        with contextlib.suppress(Exception):  # of a connection that is broken already
            await redis.aclose(close_connection_pool=True)


async def ring_redis(redis_url: str) -> None:
    """Ring once; a Redis that is away or takes no writes is no reason to fail."""
    import structlog
    from redis.exceptions import RedisError

    try:
        async with _opened(redis_url) as redis:
            await redis.enqueue_job(PULL)
    except (RedisError, OSError) as error:
        structlog.get_logger().warning("bell.unheard", error=type(error).__name__)


async def look_at_redis(redis_url: str) -> RedisLook:
    """Whether it answers, takes a write, and keeps what it took."""
    from redis.exceptions import ConnectionError as RedisAway
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisSlow

    refuses = None
    try:
        async with _opened(redis_url) as redis:
            memory = await redis.info("memory")
            try:
                await redis.set("crispsync:probe", b"1", px=1000)
            except (RedisAway, RedisSlow):
                raise
            except RedisError as error:
                refuses = type(error).__name__
    except (RedisError, OSError) as error:
        return RedisLook(away=type(error).__name__)
    # An unlimited memory is never full, so that no policy comes to anything.
    policy, limit = memory.get("maxmemory_policy", "noeviction"), int(memory.get("maxmemory", 0))
    evicts = policy != "noeviction" and limit > 0
    return RedisLook(refuses=refuses, may_evict=policy if evicts else None)
