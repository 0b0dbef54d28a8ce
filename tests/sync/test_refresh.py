"""Single records that a hook told in part: asked for once, within the hooks' share, never believed when stale."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from app import clock
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.crisp.tables import quota_usage
from app.db.refresh import COALESCE_MS
from app.sandbox.conversation_changes import begin_conversation, remove_conversation, set_field
from app.sandbox.hook_collector import SignedHook, collected_hooks
from app.sandbox.message_changes import edit_message, send_message
from app.sandbox.named_changes import change_by_name
from app.sandbox.people_changes import change_person, new_person, remove_person
from app.sync.refresh import refresh_due
from app.webhooks.apply import apply_waiting
from app.webhooks.hooks import read_hook
from app.webhooks.tables import inbox_events
from app.websites.tables import websites
from tests.flows.steps import (
    CONVERSATION,
    MESSAGE,
    MESSAGES,
    PEOPLE_DATA,
    PROFILE,
    retries_without_waiting,
)
from tests.pulling import Crispsync, sandbox_and_crispsync

MINUTE = 60_000


class Told:
    """A website that was imported, and the hooks of what changes in it, applied as they come."""

    def __init__(self, crisp: Crispsync, hooks: Any) -> None:
        self.crisp = crisp
        self.hooks = hooks

    @property
    def world(self) -> Any:
        return self.crisp.world

    async def apply(self) -> None:
        await self.apply_these(self.hooks.take())

    async def apply_these(self, hooks: list[SignedHook]) -> None:
        for hook in hooks:
            stamp = str(json.loads(hook.body)["timestamp"]).encode()
            found = read_hook(hook.body, stamp, b"1", clock.now())
            received_at = clock.from_ms(self.world.clock.now())
            async with self.crisp.db.write() as connection:
                await connection.execute(
                    insert(inbox_events).values(
                        id=found.id, website_id=found.website_id, event=found.event,
                        state=found.state, error=found.error, body=found.body, attempts=0,
                        deliveries=1, received_at=received_at, emitted_ms=found.emitted_ms,
                        first_attempt=1,
                    )
                )  # fmt: skip
        await apply_waiting(self.crisp.db)

    async def ask(self) -> dict[str, int]:
        """Ask for what is due or will be within seconds; requests by route."""
        for table in (contacts, conversations):
            async with self.crisp.db.write() as connection:
                await connection.execute(
                    update(table)
                    .where(table.c.refresh_due_ms.is_not(None))
                    .values(refresh_due_ms=0)
                )
        before = dict(self.world.counters.by_route)
        await refresh_due(self.crisp.db, self.crisp.client)
        after = self.world.counters.by_route
        return {r: n - before.get(r, 0) for r, n in after.items() if n != before.get(r, 0)}

    async def conversation(self, i: int) -> Any:
        session_id = self.world.main.session_id(i)
        query = select(conversations).where(conversations.c.session_id == session_id)
        return (await self.crisp.rows(query))[0]

    async def person(self, p: int) -> Any:
        query = select(contacts).where(contacts.c.crisp_people_id == self.world.main.people_id(p))
        return (await self.crisp.rows(query))[0]


@asynccontextmanager
async def imported(database_url: str, **options: Any) -> AsyncIterator[Told]:
    async with sandbox_and_crispsync(
        database_url, people=8, conversations=8, frozen=True, others=(), **options
    ) as crisp:
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(MINUTE)
        with collected_hooks(crisp.world) as hooks:
            yield Told(crisp, hooks)


async def test_several_hooks_about_one_record_cost_one_request(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        for n in range(5):
            world.clock.advance(500)
            set_field(world, site, 2, "segments", [f"s{n}"])
            set_field(world, site, 2, "data", {"plan": f"p{n}"})
            change_person(world, site, 3, person={"nickname": f"Nick {n}"})
        await told.apply()
        assert await told.ask() == {CONVERSATION: 1, PROFILE: 1}
        row = await told.conversation(2)
        assert (row.metadata["segments"], row.metadata["data"]["plan"]) == (["s4"], "p4")
        assert (row.refresh_due_ms, (await told.person(3)).refresh_due_ms) == (None, None)
        assert await told.ask() == {}


async def test_what_comes_within_five_seconds_is_one_request_and_what_comes_later_another(
    database_url: str,
) -> None:  # SPEC S7
    async with imported(database_url) as told:
        crisp, world, site = told.crisp, told.world, told.world.main
        world.counters.reset()

        async def hear_of(segment: str) -> int:
            world.clock.advance(500)
            set_field(world, site, 2, "segments", [segment])
            await told.apply()
            assert await refresh_due(crisp.db, crisp.client) == 0, "not at once"
            return int((await told.conversation(2)).refresh_due_ms)

        before = clock.now_ms()
        first = await hear_of("one")
        assert first - before > COALESCE_MS / 2
        # The second one is asked for together with the first, and does not put it off.
        assert await hear_of("two") == first
        assert world.counters.total == 0
        assert await told.ask() == {CONVERSATION: 1}
        assert await hear_of("three") > first
        assert await told.ask() == {CONVERSATION: 1}
        assert (await told.conversation(2)).metadata["segments"] == ["three"]


async def test_whole_values_cost_no_request(database_url: str) -> None:  # SPEC S7
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        world.clock.advance(1_000)
        set_field(world, site, 2, "state", "resolved")
        set_field(world, site, 2, "subject", "New subject")
        send_message(world, site, 2, "Anybody there?")
        await told.apply()
        assert await told.ask() == {}
        assert (await told.conversation(2)).subject == "New subject"


async def test_case_005_what_an_unknown_conversation_was_is_fetched_later(
    database_url: str,
) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        i, _ = begin_conversation(world, site, content="First words")
        told.hooks.take()  # lost
        world.clock.advance(MINUTE)
        send_message(world, site, i, "Second words")
        await told.apply()
        assert (await told.conversation(i)).message_count == 1
        asked = await told.ask()
        assert (asked[CONVERSATION], asked[MESSAGES]) == (1, 1)
        row = await told.conversation(i)
        assert (row.message_count, row.messages_complete) == (2, True)
        assert row.version_ms == site.conversation(i)["updated_at"]


async def test_case_006_a_person_of_whom_only_a_patch_came(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        p, _ = new_person(world, site)
        told.hooks.take()  # lost
        world.clock.advance(MINUTE)
        change_person(world, site, p, person={"phone": "+3312345"})
        await told.apply()
        assert await told.ask() == {PROFILE: 1}
        row = await told.person(p)
        profile = site.profile(p)
        assert (row.email, row.phone) == (profile.get("email"), "+3312345")
        assert row.version_ms == profile["updated_at"]


async def test_case_049_a_stale_answer_does_not_undo_a_hook_and_is_asked_again(
    database_url: str,
) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        session_id = site.session_id(2)
        world.faults.add("stale", seconds=300)
        # So that the cache has something old to hand out.
        await told.crisp.client.get(
            f"website/{told.crisp.website_id}/conversation/{session_id}",
            website_id=told.crisp.website_id,
        )
        world.clock.advance(30_000)
        set_field(world, site, 2, "state", "resolved" if site.conversation(2)["state"] != "resolved" else "pending")  # fmt: skip
        state = site.conversation(2)["state"]
        set_field(world, site, 2, "segments", ["vip"])
        await told.apply()
        assert await told.ask() == {CONVERSATION: 1}
        row = await told.conversation(2)
        assert row.status == state
        assert row.refresh_due_ms is not None
        world.faults.clear()
        world.clock.advance(30_000)
        assert await told.ask() == {CONVERSATION: 1}
        row = await told.conversation(2)
        assert (row.status, row.metadata["segments"], row.refresh_due_ms) == (state, ["vip"], None)


async def test_case_003_a_message_of_which_only_an_edit_came(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        change = send_message(world, site, 2, "As sent")
        told.hooks.take()  # lost
        world.clock.advance(MINUTE)
        edit_message(world, site, 2, change.data["fingerprint"], "As edited")
        await told.apply()
        asked = await told.ask()
        assert asked == {CONVERSATION: 1, MESSAGE: 1}
        query = select(messages).where(messages.c.fingerprint == change.data["fingerprint"])
        (row,) = await told.crisp.rows(query)
        assert (row.body, row.complete, row.edited_at is not None) == ("As edited", True, True)
        assert row.direction in {"inbound", "outbound"}


async def test_case_041_gone_says_the_record_itself(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        set_field(world, site, 2, "segments", ["vip"])
        change_person(world, site, 3, person={"nickname": "Soon gone"})
        await told.apply()
        world.clock.advance(MINUTE)
        remove_conversation(world, site, 2)
        remove_person(world, site, 3)
        told.hooks.take()  # lost
        await told.ask()
        assert (await told.conversation(2)).deleted_at is not None
        assert (await told.person(3)).deleted_at is not None
        assert await told.ask() == {}


async def test_case_040_uninstalled_meanwhile(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        set_field(world, site, 2, "segments", ["vip"])
        await told.apply()
        change_by_name(world, site, {"kind": "uninstalled"})
        told.hooks.take()  # lost
        await told.ask()
        (row,) = await told.crisp.rows(select(websites.c.status))
        assert row.status == "uninstalled"
        assert (await told.conversation(2)).deleted_at is None
        assert await told.ask() == {}


@pytest.mark.parametrize("status", [500, 401])
async def test_trouble_puts_it_off(database_url: str, status: int) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        set_field(world, site, 2, "segments", ["vip"])
        await told.apply()
        world.faults.add("status", status=status)
        with retries_without_waiting():
            await told.ask()
        assert (await told.conversation(2)).refresh_due_ms > clock.now_ms()
        world.faults.clear()
        assert await told.ask() == {CONVERSATION: 1}
        assert (await told.conversation(2)).metadata["segments"] == ["vip"]


async def test_hooks_keep_a_share_of_the_day_that_syncs_leave(database_url: str) -> None:  # SPEC S6
    async with imported(database_url, daily_quota=400) as told:
        world, site = told.world, told.world.main
        await _use(told, "sync", 320)
        set_field(world, site, 2, "segments", ["vip"])
        await told.apply()
        assert await told.ask() == {CONVERSATION: 1}
        await _use(told, "hooks", 400)
        await told.crisp.client.budget.give_back()
        world.clock.advance(MINUTE)
        set_field(world, site, 2, "segments", ["gold"])
        await told.apply()
        assert await told.ask() == {}
        due_ms = (await told.conversation(2)).refresh_due_ms
        midnight = (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        assert abs(due_ms - clock.to_ms(midnight)) < 61_000


async def _use(told: Told, purpose: str, used: int) -> None:
    async with told.crisp.db.write() as connection:
        await connection.execute(
            update(quota_usage).where(quota_usage.c.purpose == purpose).values(used=used)
        )


async def test_contact_data_comes_with_the_person_when_it_is_wanted(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        async with told.crisp.db.write() as connection:
            await connection.execute(update(websites).values(import_custom_data=True))
        change_by_name(world, site, {"kind": "contact_data", "people_id": site.people_id(3), "data": {"plan": "gold"}})  # fmt: skip
        world.clock.advance(1_000)
        change_person(world, site, 3, person={"nickname": "Nick"})
        await told.apply()
        assert await told.ask() == {PROFILE: 1, PEOPLE_DATA: 1}
        assert (await told.person(3)).attributes["data.plan"] == "gold"
