"""Hooks, pages and single answers in any order, some of them twice: what is stored is what Crisp has.

The world of the sandbox is the model. Hypothesis chooses what changes in it, when a page is fetched
and when it is written, and which hook comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import insert, update

from app import clock
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.crisp.errors import Gone
from app.crisp.paging import Page
from app.sandbox.churn import FULL_MIX, make
from app.sandbox.hook_collector import SignedHook, collected_hooks
from app.sync.conversations import fetch_conversations, save_conversations
from app.sync.people_pages import fetch_people, save_people
from app.sync.pull import Pull
from app.sync.refresh import refresh_due
from app.sync.thread import Part
from app.sync.threads import save_parts
from app.sync.unmentioned import read_and_compare
from app.webhooks.apply import apply_waiting
from app.webhooks.hooks import read_hook
from app.webhooks.tables import inbox_events
from tests.flows.steps import pull_of
from tests.pulling import Crispsync, assert_same, sandbox_and_crispsync

T = TypeVar("T")

RARE = sorted(kind for kind in FULL_MIX if kind not in {"installed", "uninstalled"})
# What two sources tell of the same thing, where the order could matter.
OFTEN = ["message_new", "message_edited", "message_removed", "state", "person_name", "bound"]
NOT_TOLD = {
    "updated_ms",
    "companies",
}  # as told by pages; SPEC M3's history depends on when we looked


class Story:
    """One world and one database; each step is what a process would do."""

    def __init__(self, crisp: Crispsync, pull: Pull, hooks: Any) -> None:
        self.crisp = crisp
        self.pull = pull
        self.hooks = hooks
        self.pending: list[SignedHook] = []
        self.told: list[str] = []
        self.fetched: list[Page | list[Part]] = []

    def change(self, kind: str, seconds: int) -> None:
        self.crisp.world.clock.advance(seconds * 1000)
        make(self.crisp.world, self.crisp.world.main, kind)
        self.pending += self.hooks.take()

    async def deliver(self, number: int) -> None:
        hook = self.pending.pop(number % len(self.pending))
        headers = {name.lower(): value.encode() for name, value in hook.headers.items()}
        now = clock.from_ms(self.crisp.world.clock.now())
        assert now is not None
        found = read_hook(hook.body, headers["x-crisp-request-timestamp"], b"1", now)
        row = {name: getattr(found, name) for name in ("id", "website_id", "event", "error", "body", "emitted_ms", "first_attempt")}  # fmt: skip
        await self._execute(insert(inbox_events).values(
            **row, state=found.state, attempts=0, deliveries=1,
            received_at=now,
        ))  # fmt: skip
        self.told.append(found.id)
        await apply_waiting(self.crisp.db)

    async def repeat(self, number: int) -> None:
        event_id = self.told[number % len(self.told)]
        await self._execute(
            update(inbox_events).where(inbox_events.c.id == event_id).values(state="new")
        )
        await apply_waiting(self.crisp.db)

    async def fetch(self, what: str, number: int) -> None:
        if what == "conversations":
            self.fetched.append(await fetch_conversations(self.pull, 0, None)(1))
        elif what == "people":
            self.fetched.append(await fetch_people(self.pull, None, None)(1))
        else:
            rows = await self.crisp.rows(conversations.select().order_by(conversations.c.id))
            live = [row for row in rows if row.deleted_at is None]
            with suppress(Gone):  # its removal has not been told yet
                self.fetched += [await _read(self.pull, live[number % len(live)])] if live else []

    async def write(self, number: int) -> None:
        fetched = self.fetched.pop(number % len(self.fetched))
        if isinstance(fetched, list):
            await save_parts(self.pull, lambda: fetched)
        elif fetched.items and "session_id" in fetched.items[0]:
            await save_conversations(self.pull, fetched)
        else:
            await save_people(self.pull, fetched)

    async def ask(self) -> None:
        """What hooks left out, at once instead of some seconds later."""
        for table in (contacts, conversations):
            await self._execute(
                update(table).where(table.c.refresh_due_ms.is_not(None)).values(refresh_due_ms=0)
            )
        await refresh_due(self.crisp.db, self.crisp.client)

    async def end(self) -> None:
        while self.pending:
            await self.deliver(0)
        while self.fetched:
            await self.write(0)
        # Long enough for every answer to be surely newer than the hook that it was asked for.
        self.crisp.world.clock.advance(120_000)
        await self.ask()
        assert not await self._due()
        await self._assert_as_in_crisp()

    async def _due(self) -> list[Any]:
        return [
            row
            for table in (contacts, conversations)
            for row in await self.crisp.rows(
                table.select().where(table.c.refresh_due_ms.is_not(None))
            )
        ]

    async def _assert_as_in_crisp(self) -> None:
        crisp = self.crisp
        assert_same("people", await crisp._stored_people(), crisp._true_people())
        true = _without(crisp._true_conversations(companies_too=False))
        assert_same(
            "conversations", _without(await crisp._stored_conversations(companies_too=False)), true
        )
        assert_same("messages", await crisp._stored_messages(), crisp._true_messages())

    async def _execute(self, statement: Any) -> None:
        async with self.crisp.db.write() as connection:
            await connection.execute(statement)


async def _read(pull: Pull, row: Any) -> list[Part]:
    return [part async for part in read_and_compare(pull.db, pull, row)]


def _without(rows: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {key: {n: v for n, v in row.items() if n not in NOT_TOLD} for key, row in rows.items()}


class AnyOrder(RuleBasedStateMachine):
    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(seed=st.integers(1, 500))
    def begin(self, seed: int) -> None:
        self.story = self.run(self._begin(seed))

    async def _begin(self, seed: int) -> Story:
        crisp = await self.stack.enter_async_context(
            sandbox_and_crispsync(
                self.database_url, people=3, conversations=3, seed=seed, frozen=True, others=()
            )
        )
        await _empty(crisp)
        await crisp.connect()
        assert await crisp.run("full") == "done"
        hooks = self.stack.enter_context(collected_hooks(crisp.world))
        pull = await pull_of(crisp, await crisp.claim("full"))
        crisp.world.clock.advance(60_000)
        return Story(crisp, pull, hooks)

    @rule(
        kind=st.sampled_from(OFTEN) | st.sampled_from(RARE),
        seconds=st.sampled_from([3, 30, 200, 2_000]),
    )
    def change(self, kind: str, seconds: int) -> None:
        self.story.change(kind, seconds)

    @rule(what=st.sampled_from(["conversations", "people", "thread"]), number=st.integers(0, 3))
    def fetch_then_change_then_write(self, what: str, number: int) -> None:
        self.run(self.story.fetch(what, number))
        for kind in OFTEN:
            self.story.change(kind, 3)
        while self.story.pending:
            self.run(self.story.deliver(number))
        if self.story.fetched:
            self.run(self.story.write(-1))

    @precondition(lambda self: self.story.pending)
    @rule(number=st.integers(0, 20))
    def deliver(self, number: int) -> None:
        self.run(self.story.deliver(number))

    @precondition(lambda self: self.story.told)
    @rule(number=st.integers(0, 20))
    def repeat(self, number: int) -> None:
        self.run(self.story.repeat(number))

    @rule(what=st.sampled_from(["conversations", "people", "thread"]), number=st.integers(0, 20))
    def fetch(self, what: str, number: int) -> None:
        self.run(self.story.fetch(what, number))

    @precondition(lambda self: self.story.fetched)
    @rule(number=st.integers(0, 20))
    def write(self, number: int) -> None:
        self.run(self.story.write(number))

    @rule()
    def ask(self) -> None:
        self.run(self.story.ask())

    def teardown(self) -> None:
        try:
            if hasattr(self, "story"):
                self.run(self.story.end())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()


async def _empty(crisp: Crispsync) -> None:
    """One database serves all examples."""
    from app.tables import metadata

    async with crisp.db.write() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(table.delete())


# SPEC D4, D5, M5, S4; FAILURES 2 to 6, 30, 31
@pytest.mark.parametrize("examples", [25])
def test_any_order_ends_in_what_crisp_has(database_url: str, examples: int) -> None:
    machine: Any = type("Machine", (AnyOrder,), {"database_url": database_url})
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=14,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
