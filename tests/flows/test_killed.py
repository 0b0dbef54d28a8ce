"""A killed process loses nothing and repeats next to nothing (SPEC S5)."""

import random
import signal
from collections import Counter
from collections.abc import Iterable
from functools import partial

from sqlalchemy import select

from app.sandbox.counters import Asked
from app.sync.tables import sync_runs
from tests.bench.databases import database
from tests.beside import Box, fetch, runs, sandbox_beside, states, stored_conversations, until
from tests.fixtures.program import Program
from tests.flows.steps import CONVERSATIONS, MESSAGES, PEOPLE

KILLS = 6
PAGE = 50
LISTS = (CONVERSATIONS, PEOPLE)  # both are read at the same time


def lease(url: str) -> int:
    """Until when the only run belongs to whoever took it; database time, epoch ms."""
    (row,) = fetch(url, select(sync_runs.c.lease_until_ms))
    return int(row.lease_until_ms)


def repeats(log: Iterable[Asked]) -> int:
    """How many requests for messages were made that had been made before."""
    asked = Counter((one.args, *sorted(one.params.items())) for one in log if one.route == MESSAGES)
    return sum(asked.values()) - len(asked)


def list_pages_of_a_calm_sync(program: Program, box: Box) -> Counter[str]:
    with database("sqlite", program.folder) as url:
        env = box.connected(url)
        box.world.counters.reset()
        assert program.run("sync", "--full", "--wait", env=env).code == 0
    return Counter(box.world.counters.by_route)


def asked_at_least(box: Box, goal: int) -> bool:
    return box.world.counters.total >= goal


def kill_at_random(program: Program, box: Box, url: str, env: dict[str, str], kills: int) -> None:
    """Let it work on some requests, kill it, start it again; then let it finish."""
    dice = random.Random(7)
    share = 500 // kills
    for _ in range(kills):
        pulling = program.start("sync", "--full", "--wait", env=env)
        goal = box.world.counters.total + dice.randint(1, share)
        until(partial(asked_at_least, box, goal))
        pulling.kill()
    (run,) = runs(url)
    assert run["state"] == "running", "all the kills came before its end"


def test_killed_again_and_again(program: Program, database_url: str) -> None:
    with sandbox_beside(people=120, conversations=450, delay_ms=5) as box:
        calm = list_pages_of_a_calm_sync(program, box)
        env = box.connected(database_url, LEASE_SECONDS="1")
        box.world.counters.reset()
        box.world.counters.keep_log(100_000)
        kill_at_random(program, box, database_url, env, KILLS)
        done = program.run("sync", "--full", "--wait", env=env)
        assert done.code == 0, done.stderr
        (run,) = runs(database_url)
        assert (run["state"], run["lease_epoch"]) == ("done", KILLS + 1)
        box.assert_equals_truth(database_url)
        assert repeats(box.world.counters.log) <= KILLS * PAGE
        asked = box.world.counters.by_route
        for route in LISTS:
            assert asked[route] - calm[route] <= KILLS, "at most the page under way"


def test_terminated_hands_back_at_once(program: Program, database_url: str) -> None:
    with sandbox_beside(conversations=400, delay_ms=20) as box:
        env = box.connected(database_url)
        pulling = program.start("sync", "--full", "--wait", env=env)
        until(lambda: stored_conversations(database_url) > 50)
        pulling.process.send_signal(signal.SIGTERM)
        assert pulling.wait(20) == 1
        assert "Traceback" not in pulling.output
        assert pulling.lines[-1].startswith("crispsync: ")
        assert lease(database_url) == 0
        assert states(database_url) == [("full", "running")]
        box.world.delay_ms = 0
        assert program.run("sync", "--full", "--wait", env=env).code == 0
        box.assert_equals_truth(database_url)


def test_interrupted_hands_back_at_once(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(conversations=4000, delay_ms=20) as box:
        env = box.connected(sqlite_url)
        pulling = program.start("sync", "--full", "--wait", env=env)
        until(lambda: stored_conversations(sqlite_url) > 50)
        pulling.process.send_signal(signal.SIGINT)
        assert pulling.wait(20) == 1
        assert "Traceback" not in pulling.output
        assert lease(sqlite_url) == 0


def test_serve_hands_back_when_it_is_stopped(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(conversations=400, delay_ms=20) as box:
        env = box.connected(sqlite_url)
        program.run("sync", "--full", env=env)
        server = program.start("serve", "--port", "0", env=env)
        until(lambda: stored_conversations(sqlite_url) > 50)
        server.stop()
        assert "Traceback" not in server.output
        assert lease(sqlite_url) == 0
        box.world.delay_ms = 0
        assert program.run("sync", "--full", "--wait", env=env).code == 0
        box.assert_equals_truth(sqlite_url)


def test_running_serve_takes_over(program: Program, migrated_postgres_url: str) -> None:
    url = migrated_postgres_url
    with sandbox_beside(conversations=300, delay_ms=20) as box:
        env = box.connected(url)  # with the default lease
        pulling = program.start("sync", "--full", "--wait", env=env)
        until(lambda: stored_conversations(url) > 50)
        box.world.delay_ms = 3000  # so that it is still at work when the other one has started
        server = program.start("serve", "--port", "0", env=env)
        server.wait_for_line("crispsync serves")
        before = lease_owner(url)
        pulling.kill()
        asked_again = program.run("sync", "--full", env=env)
        (run,) = runs(url)
        assert asked_again.stdout.startswith(run["id"])
        until(lambda: lease_owner(url) != before, seconds=15)
        assert lease_owner(url).endswith(f":{server.pid}")
        box.world.delay_ms = 0
        until(lambda: states(url) == [("full", "done")])
        box.assert_equals_truth(url)


def test_next_serve_takes_over_a_killed_one(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(conversations=300, delay_ms=20) as box:
        env = box.connected(sqlite_url)
        program.run("sync", "--full", env=env)
        first = program.start("serve", "--port", "0", env=env)
        until(lambda: stored_conversations(sqlite_url) > 50)
        first.kill()
        box.world.delay_ms = 0
        second = program.start("serve", "--port", "0", env=env)
        second.wait_for_line("crispsync serves")
        until(lambda: lease_owner(sqlite_url).endswith(f":{second.pid}"), seconds=15)
        until(lambda: states(sqlite_url) == [("full", "done")])
        box.assert_equals_truth(sqlite_url)


def lease_owner(url: str) -> str:
    (row,) = fetch(url, select(sync_runs.c.lease_owner))
    return str(row.lease_owner)
