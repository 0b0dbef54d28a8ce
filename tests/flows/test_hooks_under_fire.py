"""Hooks by the thousand, some lost, doubled, late and shuffled, while a full sync runs and whoever
works is killed again and again.

The sandbox's dice are known, so what a lost hook can leave behind is checked record by record: after
one incremental run nothing else may differ. `BENCH_HOOKS=10000` makes it as long as wanted.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.sandbox import truth
from app.sandbox.churn import FULL_MIX
from app.sandbox.hook_fates import Shares, copies_of
from app.sandbox.records import Change
from app.sandbox.world import World
from app.webhooks.receive import PATH
from app.webhooks.tables import inbox_events
from tests.beside import Box, change, fetch, runs, sandbox_beside, states, until
from tests.fixtures.program import Program, Running
from tests.fixtures.valkey import free_port
from tests.pulling import Crispsync, Row, assert_same, opened

MessageKey = tuple[str, int]

HOOKS = int(os.environ.get("BENCH_HOOKS", "1500"))
# So many that those whose removal is still on its way stay below the 2 % that wait for a person (S9).
PEOPLE = max(150, HOOKS // 5)
KILLS = 5
PATIENCE = 60 + HOOKS / 20  # seconds; single records are asked for one after another
AT_A_TIME = 20
MINUTE_MS = 60_000
SHARES = {"lost": 0.05, "doubled": 0.1, "late": 0.2, "reordered": 0.2}
HOW_FAR = {"late_s": 3, "overtaken_by": 30}
SENDING = {"concurrency": 8, "retry_s": 0.2, "limit": 12}
MIX = {kind: w for kind, w in FULL_MIX.items() if kind not in {"installed", "uninstalled"}}
# What hangs on a person's own record.
LINKS = {"owner", "rule", "reason", "verified"}
NEWEST = 40
"""As many messages as Crisp gives in one answer."""


@dataclass
class Under:
    """A sandbox that sends hooks, and the processes that take and apply them."""

    program: Program
    box: Box
    url: str
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    working: Running | None = None

    @property
    def embedded(self) -> bool:
        return "REDIS_URL" not in self.env

    def start(self) -> None:
        if not self.embedded:
            self._serve()
        self.start_working()

    def start_working(self) -> None:
        self.working = (
            self._serve() if self.embedded else self.program.start("worker", env=self.env)
        )

    def _serve(self) -> Running:
        server = self.program.start("serve", "--port", str(self.port), env=self.env)
        server.wait_for_line(r"crispsync serves")
        return server

    def kill(self) -> None:
        assert self.working is not None
        self.working.kill()

    def stop(self) -> None:
        assert self.working is not None
        self.working.stop()
        assert "Traceback" not in self.working.output

    def ask(self, what: str, **values: Any) -> Any:
        address = f"{self.box.url.removesuffix('/v1')}/sandbox/{what}"
        return httpx.post(address, json=values, timeout=PATIENCE + 60).raise_for_status().json()

    def acknowledged(self) -> set[str]:
        address = f"{self.box.url.removesuffix('/v1')}/sandbox/hooks/acknowledged"
        lines = httpx.get(address, timeout=60).raise_for_status().text.splitlines()
        return {json.loads(line)["sha256"] for line in lines}

    def in_state(self, *wanted: str) -> int:
        query = select(func.count()).where(inbox_events.c.state.in_(wanted))
        return int(fetch(self.url, query)[0][0])

    def run_to_its_end(self, kind: str) -> None:
        before = len(runs(self.url))
        done = self.program.run("sync", f"--{kind}", env=self.env)
        assert done.code == 0, done.stderr
        until(lambda: states(self.url)[before:] == [(kind, "done")], PATIENCE)


@pytest.fixture(params=["embedded on SQLite", "worker with Redis on PostgreSQL"])
def fire(request: pytest.FixtureRequest, program: Program) -> Iterator[Under]:
    embedded = request.param.startswith("embedded")
    url = request.getfixturevalue("sqlite_url" if embedded else "migrated_postgres_url")
    more = {} if embedded else {"REDIS_URL": request.getfixturevalue("redis_url")}
    with sandbox_beside(people=PEOPLE, conversations=300, others=(), mix=MIX) as box:
        secret = box.world.signing_secret
        env = box.connected(url, LEASE_SECONDS="1", CRISP_SIGNING_SECRET=secret, **more)
        yield Under(program, box, url, env)


# SPEC S4, S5, D4, D5; FAILURES 1, 3 to 6, 23, 30 to 32
def test_hooks_under_fire(fire: Under) -> None:
    to = f"http://127.0.0.1:{fire.port}{PATH}"
    fire.ask("hooks", to=to, **SHARES, **HOW_FAR, **SENDING)
    assert fire.program.run("sync", "--full", env=fire.env).code == 0
    fire.start()
    change_and_kill(fire)
    assert fire.ask("hooks/flush", timeout_s=PATIENCE)["empty"]
    until(lambda: states(fire.url) == [("full", "done")], PATIENCE)
    until(lambda: fire.in_state("new", "parked") == 0, PATIENCE)
    assert_every_acknowledged_hook_has_ended(fire)
    settle(fire)
    fire.run_to_its_end("incremental")
    until(lambda: not asked_for(fire.url), PATIENCE)
    assert_equals_truth(fire, after="incremental")
    fire.run_to_its_end("full")
    assert_equals_truth(fire, after="full")
    fire.stop()


def change_and_kill(fire: Under) -> None:
    """Kill after a share of the changes, each time after it has applied something since its start."""
    dice = random.Random(11)
    share = HOOKS // (KILLS + 1)
    fire.box.world.delay_ms = 1000  # so that it is still at work when the last kill comes
    for _ in range(KILLS):
        before = fire.in_state("done")
        make_changes(fire, share)
        until(partial(has_applied_more_than, fire, before))
        make_changes(fire, dice.randint(1, 3) * AT_A_TIME)
        fire.kill()
        (run,) = runs(fire.url)
        assert run["state"] == "running", "the full run ended before the kills"
        fire.start_working()
    make_changes(fire, HOOKS - fire.box.world.change_count)
    fire.box.world.delay_ms = 0


def has_applied_more_than(fire: Under, before: int) -> bool:
    return fire.in_state("done") > before and states(fire.url) == [("full", "running")]


def make_changes(fire: Under, count: int) -> None:
    for begin in range(0, count, AT_A_TIME):
        fire.ask("change", count=min(AT_A_TIME, count - begin))


def assert_every_acknowledged_hook_has_ended(fire: Under) -> None:
    counts = fire.ask("hooks")["counts"]
    assert counts["given_up"] == counts["overflowed"] == counts["dropped"] == 0
    assert min(counts[name] for name in ("lost", "doubled", "late", "reordered")) > 0
    if fire.embedded:
        assert counts["unreachable"] > 0
    state_of = {row.id: row.state for row in fetch(fire.url, select(inbox_events))}
    acknowledged = fire.acknowledged()
    assert len(acknowledged) > 0.8 * HOOKS
    assert acknowledged <= state_of.keys()
    assert Counter(state_of.values()).keys() <= {"done", "ignored"}


def settle(fire: Under) -> None:
    """As if minutes had passed: nothing is too fresh for a run's window or for an answer to be believed."""
    fire.ask("clock", advance_ms=5 * MINUTE_MS)
    for table in (contacts, conversations):
        # Once only: what is being asked for right now would be asked for again each time.
        change(fire.url, update(table).where(table.c.refresh_due_ms > 0).values(refresh_due_ms=1))
    until(lambda: not asked_for(fire.url), PATIENCE)


def asked_for(url: str) -> list[str]:
    return [
        row.id
        for table in (contacts, conversations)
        for row in fetch(url, select(table.c.id).where(table.c.refresh_due_ms.is_not(None)))
    ]


@dataclass(slots=True)
class Unfound:
    """What lost hooks leave behind, since no list of Crisp tells of it.

    People other than new ones are met by the rolling read only, conversations that were removed by
    a full run. A message that was removed or edited further back than its thread's NEWEST is not
    looked at again once its thread was read. Nor is a thread read again of which a removal, that
    leaves the conversation's date alone, was the last there was: it may have been read before it.
    """

    people: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)
    removed_messages: set[MessageKey] = field(default_factory=set)
    edited_messages: set[MessageKey] = field(default_factory=set)
    traceless_messages: set[MessageKey] = field(default_factory=set)

    def learn(self, lost: Change, updated_ms: Mapping[str, int]) -> None:
        data = lost.data
        if lost.event.startswith("people:") and lost.kind != "person_new":
            self.people.add(data["people_id"])
        elif lost.event == "session:removed":
            self.conversations.add(data["session_id"])
        elif lost.event == "message:removed":
            key = (data["session_id"], data["fingerprint"])
            self.removed_messages.add(key)
            if updated_ms.get(key[0], 0) <= lost.at_ms:
                self.traceless_messages.add(key)
        elif lost.event == "message:updated":
            self.edited_messages.add((data["session_id"], data["fingerprint"]))


def unfound_in(world: World) -> Unfound:
    shares = Shares().changed(SHARES | HOW_FAR)
    unfound = Unfound()
    rows = truth.conversations(world, world.main, removed=False)
    updated_ms = {row["session_id"]: row["updated_at"] for row in rows}
    for one in world.changes:
        if not copies_of(world.seed, one.number, shares):
            unfound.learn(one, updated_ms)
    return unfound


def assert_equals_truth(fire: Under, *, after: str) -> None:
    async def compare() -> None:
        async with opened(fire.box.world, fire.box.url, fire.url) as crisp:
            unfound = unfound_in(fire.box.world)
            await compare_people_and_conversations(crisp, unfound, after)
            await compare_messages(crisp, unfound)

    asyncio.run(compare())


async def compare_people_and_conversations(crisp: Crispsync, unfound: Unfound, after: str) -> None:
    pairs = (
        ("people", await crisp._stored_people(), crisp._true_people(), unfound.people),
        (
            "conversations",
            await crisp._stored_conversations(companies_too=False),
            await true_conversations(crisp, unfound),
            unfound.conversations,
        ),
    )
    for what, stored, true, unknown in pairs:
        if after == "full":
            assert_same(what, stored, true)
        else:
            assert_same(what, _without(stored, unknown, LINKS), _without(true, unknown, LINKS))


async def true_conversations(crisp: Crispsync, unfound: Unfound) -> dict[Any, Row]:
    """With those messages counted of whose removal nobody told us."""
    true = crisp._true_conversations(companies_too=False)
    for key in unfound.removed_messages & (await crisp._stored_messages()).keys():
        if key[0] in true:
            true[key[0]]["message_count"] += 1
    return true


async def compare_messages(crisp: Crispsync, unfound: Unfound) -> None:
    stored, true = await crisp._stored_messages(), crisp._true_messages()
    unknown = unfound.removed_messages & (deep_ones(stored) | unfound.traceless_messages)
    unknown |= unfound.edited_messages & deep_ones(true)
    unknown |= {key for key in stored if key[0] in unfound.conversations and key not in true}
    assert_same("messages", _without(stored, unknown), _without(true, unknown))


def deep_ones(true: dict[MessageKey, Row]) -> set[MessageKey]:
    """Messages with at least NEWEST later ones in their thread."""
    threads: dict[str, list[tuple[int, MessageKey]]] = {}
    for key, row in true.items():
        threads.setdefault(key[0], []).append((row["sent_ms"], key))
    return {key for thread in threads.values() for _, key in sorted(thread)[:-NEWEST]}


def _without(
    rows: dict[Any, Row], keys: Collection[Any], fields: Collection[str] = ()
) -> dict[Any, Row]:
    return {
        key: {name: value for name, value in row.items() if name not in fields}
        for key, row in rows.items()
        if key not in keys
    }
