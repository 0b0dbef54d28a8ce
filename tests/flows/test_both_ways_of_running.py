"""The same work with the jobs inside `serve` and with `worker`, Redis and PostgreSQL (SPEC H1)."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from redis import Redis
from sqlalchemy import select, update

from app.db.changes import change_counters
from app.insights.tables import thread_facts, thread_facts_places
from app.sandbox.message_changes import send_message
from app.sync.tables import sync_runs
from tests.beside import change, fetch, runs, sandbox_beside, states, stored_conversations, until
from tests.fixtures.people import browser_of
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.program import Program, Running
from tests.fixtures.valkey import ValkeyServer


@dataclass
class Installation:
    """Processes that serve and work, and the address of the pages."""

    program: Program
    database_url: str
    more: dict[str, str] = field(default_factory=dict)
    started: list[Running] = field(default_factory=list)

    def start(self, env: dict[str, str]) -> str:
        """The address of its pages."""
        server = self.program.start("serve", "--port", "0", env=env)
        self.started.append(server)
        if "REDIS_URL" in env:
            self.started.append(self.program.start("worker", env=env))
        return server.wait_for_line(r"crispsync serves (http://\S+)")[1]

    def stop(self) -> None:
        for running in self.started:
            running.stop()
            assert "Traceback" not in running.output


@pytest.fixture(params=["embedded on SQLite", "worker with Redis on PostgreSQL"])
def installation(request: pytest.FixtureRequest, program: Program) -> Installation:
    if request.param.startswith("embedded"):
        return Installation(program, request.getfixturevalue("sqlite_url"))
    redis_url = request.getfixturevalue("redis_url")
    database_url = request.getfixturevalue("migrated_postgres_url")
    return Installation(program, database_url, {"REDIS_URL": redis_url})


def make_due(url: str) -> None:
    """As if the last run had begun an hour ago."""
    change(url, update(sync_runs).values(created_at=datetime.now(UTC) - timedelta(hours=1)))


def test_queued_run_is_done(program: Program, installation: Installation) -> None:  # SPEC S1
    with sandbox_beside() as box:
        env = box.connected(installation.database_url, **installation.more)
        assert program.run("sync", "--full", env=env).code == 0
        installation.start(env)
        until(lambda: states(installation.database_url) == [("full", "done")])
        box.assert_equals_truth(installation.database_url)
        installation.stop()


def test_pages_start_a_run(installation: Installation) -> None:
    with sandbox_beside() as box:
        env = box.connected(installation.database_url, **installation.more)
        url = installation.start(env)
        with browser_of(url, installation.database_url) as web:
            answer = web.post("/syncs", data={"kind": "full"})
            assert answer.status_code == 303, answer.text
            until(lambda: states(installation.database_url) == [("full", "done")])
            assert web.get(answer.headers["location"]).status_code == 200
        box.assert_equals_truth(installation.database_url)
        installation.stop()


def test_what_threads_tell_is_kept(installation: Installation) -> None:  # SPEC V8
    """By whoever works, at its start, without anybody asking for figures."""
    url = installation.database_url
    place, counter = thread_facts_places.c, change_counters.c
    kept = select(place.number, place.rebuilt_to, counter.last).where(
        place.website_id == counter.website_id
    )
    with sandbox_beside() as box:
        env = box.pulled(url, **installation.more)
        assert fetch(url, kept) == []
        installation.start(env)
        until(
            lambda: any(
                row.number == row.last and row.rebuilt_to is None for row in fetch(url, kept)
            )
        )
        told = fetch(url, select(thread_facts.c.conversation_id))
        assert len(told) == stored_conversations(url)
        installation.stop()


def test_scheduled_run_is_done(installation: Installation) -> None:  # SPEC S2
    url = installation.database_url
    with sandbox_beside() as box:
        env = box.pulled(url, **installation.more)
        send_message(box.world, box.world.main, 5, "A new question")
        make_due(url)
        installation.start(env)
        until(lambda: states(url) == [("full", "done"), ("incremental", "done")])
        assert runs(url)[-1]["started_by"] == "schedule"
        box.assert_equals_truth(url)
        installation.stop()


def test_several_websites_at_once(program: Program, installation: Installation) -> None:
    url = installation.database_url
    with sandbox_beside(delay_ms=10) as box:
        env = box.connected(url, **installation.more)
        assert program.run("connect", list(box.world.sites)[1], env=env).code == 0
        assert program.run("sync", "--full", env=env).code == 0
        installation.start(env)
        until(lambda: states(url) == [("full", "done"), ("full", "done")])
        first, second = runs(url)
        # Neither waited for the other to end.
        assert second["started_at"] < first["finished_at"]
        assert first["started_at"] < second["finished_at"]
        installation.stop()


def test_no_credential_ends_the_run_and_says_so(
    program: Program, installation: Installation
) -> None:
    url = installation.database_url
    with sandbox_beside() as box:
        env = box.connected(url, **installation.more, CRISP_IDENTIFIER="", CRISP_KEY="")
        assert program.run("sync", "--full", env=env).code == 0
        installation.start(env)
        until(lambda: states(url) == [("full", "failed")])
        assert "CRISP_IDENTIFIER and CRISP_KEY" in runs(url)[0]["error"]
        installation.stop()


def test_many_bells_do_not_hold_up_other_websites(
    program: Program, redis_url: str, migrated_postgres_url: str
) -> None:
    """More jobs than an arq worker takes at once, all for a run that takes long."""
    url = migrated_postgres_url
    with sandbox_beside(conversations=300) as box:
        env = box.connected(url, REDIS_URL=redis_url)
        other = list(box.world.sites)[1]
        assert program.run("connect", other, env=env).code == 0
        slow = box.world.faults.add(
            "slow", delay_ms=2000, website=box.website_id, route="*/messages"
        )
        assert program.run("sync", "--full", "--website", box.website_id, env=env).code == 0
        address = Installation(program, url).start(env)
        until(lambda: stored_conversations(url) > 0)
        with Redis.from_url(redis_url) as redis, browser_of(address, url) as web:
            for _ in range(60):
                answer = web.post("/syncs", data={"kind": "full"})
                assert answer.status_code == 303
            until(lambda: int(redis.zcard("arq:queue")) == 0, seconds=15)
        assert program.run("sync", "--full", "--website", other, env=env).code == 0
        # Both at the same time: the second did not wait for the first to end.
        until(lambda: states(url) == [("full", "running"), ("full", "running")], seconds=15)
        slow.count = 0
        until(lambda: states(url) == [("full", "done"), ("full", "done")])


def test_worker_hands_back_when_it_is_stopped(
    program: Program, redis_url: str, migrated_postgres_url: str
) -> None:
    url = migrated_postgres_url
    with sandbox_beside(conversations=300, delay_ms=20) as box:
        env = box.connected(url, REDIS_URL=redis_url)
        assert program.run("sync", "--full", env=env).code == 0
        worker = program.start("worker", env=env)
        until(lambda: stored_conversations(url) > 50)
        worker.process.terminate()
        worker.wait(8)
        assert "Traceback" not in worker.output
        assert states(url) == [("full", "running")]
        assert runs(url)[0]["lease_until_ms"] == 0
        box.world.delay_ms = 0
        program.start("worker", env=env)
        until(lambda: states(url) == [("full", "done")])
        box.assert_equals_truth(url)


def test_redis_stopped_and_wiped(
    program: Program, own_redis: ValkeyServer, migrated_postgres_url: str
) -> None:
    url = migrated_postgres_url
    with sandbox_beside(conversations=200, delay_ms=20) as box:
        env = box.connected(url, REDIS_URL=own_redis.url)
        assert program.run("sync", "--full", env=env).code == 0
        installation = Installation(program, url)
        address = installation.start(env)
        until(lambda: stored_conversations(url) > 50)
        own_redis.stop()
        worker = installation.started[1]
        worker.wait_for_line("Redis is away")
        # The run is not disturbed: what has to be done stands in the database.
        until(lambda: states(url) == [("full", "done")])
        with browser_of(address, url) as web:
            asked = web.post("/syncs", data={"kind": "incremental"}, timeout=4)
        assert asked.status_code == 303
        # Nor is one that was asked for without a bell.
        until(lambda: states(url)[-1] == ("incremental", "done"), seconds=40)
        own_redis.start()
        with Redis.from_url(own_redis.url) as redis:
            until(lambda: redis.exists("arq:queue:health-check"))
        box.assert_equals_truth(url)
        installation.stop()


def test_worker_ends_on_sigterm_while_redis_is_away(
    program: Program, own_redis: ValkeyServer, migrated_postgres_url: str
) -> None:
    worker = program.start(
        "worker", env={"DATABASE_URL": migrated_postgres_url, "REDIS_URL": own_redis.url}
    )
    with Redis.from_url(own_redis.url) as redis:
        until(lambda: redis.exists("arq:queue:health-check"))
    own_redis.stop()
    worker.wait_for_line("Redis is away")
    worker.process.terminate()
    worker.wait(10)
    assert "Traceback" not in worker.output


def test_database_away_and_back(program: Program, own_postgres: PostgresServer) -> None:  # S5
    url = own_postgres.url
    assert program.run("migrate", env={"DATABASE_URL": url}).code == 0
    with sandbox_beside(conversations=200, delay_ms=20) as box:
        env = box.connected(url)
        assert program.run("sync", "--full", env=env).code == 0
        program.start("serve", "--port", "0", env=env)
        until(lambda: stored_conversations(url) > 50)
        # Not "immediate": without fsync, as the tests run it, the server would forget what it had.
        own_postgres.stop("fast")
        own_postgres.start()
        until(lambda: states(url) == [("full", "done")], seconds=40)
        box.assert_equals_truth(url)
        (run,) = runs(url)
        assert run["counts"]["failed"] == 0


def test_database_away_for_longer(program: Program, own_postgres: PostgresServer) -> None:
    """Longer than one transaction is tried again."""
    url = own_postgres.url
    assert program.run("migrate", env={"DATABASE_URL": url}).code == 0
    with sandbox_beside() as box:
        env = box.pulled(url)
        server = program.start("serve", "--port", "0", env=env)
        address = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
        assert httpx.get(f"{address}/readyz").status_code == 200
        own_postgres.stop("fast")
        assert httpx.get(f"{address}/readyz").status_code == 503
        server.wait_for_line("worker.waits")
        own_postgres.start()
        until(lambda: httpx.get(f"{address}/readyz").status_code == 200)
        # The worker inside is still there, too.
        assert program.run("sync", "--incremental", env=env).code == 0
        until(lambda: states(url)[-1] == ("incremental", "done"))


def test_one_id_from_the_request_to_the_worker(installation: Installation) -> None:
    """Whoever has the id of an answer finds what the job that it started did."""
    given = "0f2c9a51-6f5d-4b7e-9a55-6a6f3d1c2b3a"
    with sandbox_beside() as box:
        env = box.connected(installation.database_url, **installation.more)
        url = installation.start(env)
        with browser_of(url, installation.database_url) as web:
            asked = {"X-Request-Id": given}
            answer = web.post("/syncs", data={"kind": "full"}, headers=asked)
            assert answer.headers["x-request-id"] == given
        until(lambda: states(installation.database_url) == [("full", "done")])
        server, worker = installation.started[0], installation.started[-1]
        worker.wait_for_line('"event": "sync.ended"')
        assert '"route": "/syncs"' in with_id(server, given)["request"]
        told = with_id(worker, given)
        assert '"kind": "full"' in told["sync.started"]
        assert '"state": "done"' in told["sync.ended"]
        # What the schedule starts was asked for by nobody.
        make_due(installation.database_url)
        until(lambda: states(installation.database_url)[-1] == ("incremental", "done"))
        worker.wait_for_line('"kind": "incremental"')
        assert '"kind": "incremental"' not in "\n".join(with_id(worker, given).values())
        installation.stop()


def with_id(running: Running, request_id: str) -> dict[str, str]:
    """The log lines that carry it, by event."""
    lines = [line for line in running.lines if f'"request_id": "{request_id}"' in line]
    return {json.loads(line)["event"]: line for line in lines}
