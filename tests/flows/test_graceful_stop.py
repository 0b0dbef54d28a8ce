"""SIGTERM while hooks arrive and a sync runs, both ways of running (FAILURES case 90)."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

import httpx
import pytest

from app.commands.database import run_loop
from app.sync.runs import request_run
from tests.beside import (
    Box,
    runs,
    sandbox_beside,
    states,
    stored_conversations,
    until,
)
from tests.fixtures.program import Program, Running
from tests.flows.test_hooks_outages import OLD, load_on, states_of

AT_MOST = 25
"""Seconds, so that a supervisor that waits 30 s never has to kill."""


@dataclass
class Way:
    """One of the two ways to run."""

    program: Program
    url: str
    redis_url: str | None

    def env(self, box: Box) -> dict[str, str]:
        more = {} if self.redis_url is None else {"REDIS_URL": self.redis_url}
        return box.env(self.url, CRISP_SIGNING_SECRET=OLD, **more)

    def start(self, env: dict[str, str]) -> tuple[list[Running], str]:
        """Processes and the address of the pages."""
        started = [self.program.start("serve", "--port", "0", env=env)]
        if self.redis_url is not None:
            started.append(self.program.start("worker", env=env))
        return started, started[0].wait_for_line(r"crispsync serves (http://\S+)")[1]


@pytest.fixture(params=["embedded on SQLite", "worker with Redis on PostgreSQL"])
def way(request: pytest.FixtureRequest, program: Program) -> Way:
    if request.param.startswith("embedded"):
        return Way(program, request.getfixturevalue("sqlite_url"), None)
    redis_url = request.getfixturevalue("redis_url")
    return Way(program, request.getfixturevalue("migrated_postgres_url"), redis_url)


def terminate(processes: list[Running]) -> float:
    """Seconds until the last has ended."""
    began = time.monotonic()
    for running in processes:
        running.process.terminate()
    for running in processes:
        running.wait(AT_MOST)
    return time.monotonic() - began


def assert_ended_well(processes: list[Running]) -> None:
    for running in processes:
        assert running.process.returncode == 0, running.output
        assert "Traceback" not in running.output


def test_case_090_stopped_under_load(way: Way) -> None:
    """Crisp takes long to answer, hooks are being taken, and a browser keeps its connection open."""
    with sandbox_beside(conversations=60, others=()) as box, httpx.Client() as browser:
        env = way.env(box)
        box.connected(way.url)
        box.with_crispsync(
            way.url, lambda crisp: request_run(crisp.db, box.website_id, "full", started_by="test")
        )
        slow = box.world.faults.add("slow", delay_ms=30_000, route="*/messages")
        processes, address = way.start(env)
        with load_on(address) as load:
            assert browser.get(f"{address}/healthz").status_code == 200
            until(lambda: stored_conversations(way.url) > 0)
            load.wait_for(20)
            took = terminate(processes)
        assert took < AT_MOST
        assert_ended_well(processes)
        assert states(way.url) == [("full", "running")]
        # Handed back, not left to end by itself: whoever comes next goes on at once.
        assert runs(way.url)[0]["lease_until_ms"] == 0
        # What was answered 200 is there; all else was refused or never answered.
        assert set(load.taken) <= states_of(way.url).keys()
        assert load.statuses <= {200, 503, 0}

        slow.count = 0
        following, _ = way.start(env)
        until(lambda: states(way.url) == [("full", "done")])
        until(lambda: "new" not in states_of(way.url).values())
        for running in following:
            running.kill()


def test_case_090_stopped_as_soon_as_it_has_spoken(program: Program, sqlite_url: str) -> None:
    """Its first line is out, and neither its loop nor what it works with has begun."""
    server = program.start("serve", "--port", "0", env={"DATABASE_URL": sqlite_url}, cold=True)
    server.wait_for_line("crispsync serves")
    assert server.stop(AT_MOST) == 0


def test_case_090_a_loop_that_has_ended_takes_no_signal() -> None:
    async def nothing() -> None:
        assert signal.getsignal(signal.SIGTERM) is not before

    before = signal.getsignal(signal.SIGTERM)
    run_loop(nothing)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, before)
