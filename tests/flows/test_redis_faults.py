"""A Redis that is there and does not do: full, a replica, slow, or free to drop keys (FAILURES case 85)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from app.doctor.bell import look_at_bell
from app.doctor.findings import Finding
from app.settings import Settings
from tests.beside import Box, runs, sandbox_beside, states, until
from tests.fixtures.people import browser_of
from tests.fixtures.program import Program, Running
from tests.fixtures.valkey import ValkeyServer, free_port
from tests.flows.test_hooks_outages import OLD, hook_of, id_of, post, states_of

HEALTH = "arq:queue:health-check"


def fill(redis: Any) -> None:
    """To its limit of 1 MB; each kilobyte under a name of its own."""
    redis.config_set("maxmemory", "1mb")
    with suppress(OutOfMemoryError):
        for number in range(2_000):
            redis.set(f"others:{number}", b"x" * 1024)


def empty(redis: Any) -> None:
    redis.config_set("maxmemory", "0")
    redis.flushall()


def fail_over(redis: Any) -> None:
    """Somebody else is the primary now; an open connection is not told of it."""
    redis.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
    with pytest.raises(ReadOnlyError):
        redis.set("others:1", b"x")


def come_back(redis: Any) -> None:
    redis.execute_command("REPLICAOF", "NO", "ONE")


def evict(redis: Any) -> None:
    """Every new key drops another one, ours among them."""
    redis.config_set("maxmemory-policy", "allkeys-random")
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 512 * 1024)
    for number in range(2_000):
        redis.set(f"others:{number}", b"x" * 1024)


def keep(redis: Any) -> None:
    redis.config_set("maxmemory-policy", "noeviction")
    empty(redis)


@dataclass(frozen=True)
class Fault:
    make: Callable[[Any], None]
    mend: Callable[[Any], None]
    cause: str
    evidence: str


FAULTS = (
    Fault(fill, empty, "redis_refuses", "its memory is used up"),
    Fault(fail_over, come_back, "redis_refuses", "a replica"),
    Fault(evict, keep, "redis_evicts", "allkeys-random"),
)


def look(redis_url: str) -> list[Finding]:
    return asyncio.run(look_at_bell(Settings(_env_file=None, redis_url=redis_url)))


@dataclass
class Installation:
    """Web process and worker on a Redis of their own, with a website imported."""

    box: Box
    url: str
    address: str
    worker: Running
    web: httpx.Client
    hooks: int = 0

    def works(self) -> None:
        """A run that is asked for and a hook that arrives are done, without a restart."""
        before = len(states(self.url))
        asked = self.web.post("/syncs", data={"kind": "incremental"}, timeout=6)
        assert asked.status_code == 303, asked.text
        self.hooks += 1
        body = hook_of(self.box.website_id, self.hooks)
        assert post(self.address, body) == 200
        until(lambda: states(self.url)[before:] == [("incremental", "done")], seconds=30)
        until(lambda: states_of(self.url)[id_of(body)] == "done")
        assert self.worker.alive
        assert "Traceback" not in self.worker.output


@pytest.fixture
def installation(
    program: Program, own_redis: ValkeyServer, migrated_postgres_url: str
) -> Iterator[Installation]:
    url = migrated_postgres_url
    with sandbox_beside(people=4, conversations=4) as box:
        env = box.pulled(url, REDIS_URL=own_redis.url, CRISP_SIGNING_SECRET=OLD)
        server = program.start("serve", "--port", "0", env=env)
        worker = program.start("worker", env=env)
        address = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
        with browser_of(address, url) as web:
            yield Installation(box, url, address, worker, web)
        program.stop_all()


def test_case_085_work_goes_on_whatever_redis_refuses(
    installation: Installation, own_redis: ValkeyServer
) -> None:
    assert look(own_redis.url) == []
    installation.works()
    with Redis.from_url(own_redis.url) as redis:
        for fault in FAULTS:
            fault.make(redis)
            [found] = look(own_redis.url)
            assert found.cause == fault.cause
            assert fault.evidence in found.evidence
            assert httpx.get(f"{installation.address}/readyz").status_code == 200
            installation.works()
            fault.mend(redis)
            assert look(own_redis.url) == []
        assert [run["state"] for run in runs(installation.url)] == ["done"] * 5


def test_case_085_a_redis_that_hangs_holds_up_nobody(
    installation: Installation, own_redis: ValkeyServer
) -> None:
    with Redis.from_url(own_redis.url) as redis:
        until(lambda: redis.exists(HEALTH))
        own_redis.hang()
        installation.works()
        [found] = look(own_redis.url)
        assert found.cause == "redis_away"
        installation.worker.wait_for_line("Redis is away")
        own_redis.go_on()
        # Back at its bell: it tells so when it begins to listen.
        redis.delete(HEALTH)
        until(lambda: redis.exists(HEALTH))
        own_redis.hang()
        installation.worker.process.terminate()
        installation.worker.wait(15)
        assert "Traceback" not in installation.worker.output


def test_case_085_what_redis_is_like_is_said_at_start_and_work_goes_on(
    program: Program, own_redis: ValkeyServer, migrated_postgres_url: str
) -> None:
    url = migrated_postgres_url
    with sandbox_beside(people=2, conversations=2) as box, Redis.from_url(own_redis.url) as redis:
        env = box.connected(url, REDIS_URL=own_redis.url)
        assert program.run("sync", "--full", env=env).code == 0
        # Without a limit no policy ever drops a key.
        redis.config_set("maxmemory-policy", "volatile-lru")
        assert look(own_redis.url) == []
        fill(redis)
        started = [program.start("worker", env=env), program.start("serve", "--port=0", env=env)]
        for process in started:
            process.wait_for_line(
                r"^crispsync: Redis takes no writes.*its memory is used up.*goes on"
            )
            process.wait_for_line(r"^crispsync: Redis may drop .* is volatile-lru\. .*noeviction")
        until(lambda: states(url) == [("full", "done")])
        empty(redis)
        until(lambda: redis.exists(HEALTH))
        assert started[0].stop(15) == 0
        assert "Traceback" not in started[0].output
