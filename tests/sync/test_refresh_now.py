"""Refresh now: one contact or conversation as Crisp has it, for what the page said it costs (SPEC V1, V3, S6)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from app.accounts.actors import Actor, Forbidden, Role
from app.accounts.tables import audit_log
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.crisp.tables import quota_usage
from app.errors import CrispsyncError, NotFound, Refused
from app.sandbox.conversation_changes import remove_conversation, set_field
from app.sandbox.message_changes import send_message
from app.sandbox.people_changes import change_person
from app.sync.refresh_now import cost_of_contact, cost_of_conversation, refresh_now
from app.websites.tables import websites
from tests.sync.test_refresh import MINUTE, Told, imported

MIRA = Actor("user", "u1", "Mira", Role.MEMBER)


async def refresh(told: Told, kind: Any, row_id: str, actor: Actor = MIRA) -> int:
    """How many requests it took."""
    before = asked(told)
    crisp = told.crisp
    await refresh_now(crisp.db, crisp.client, actor, crisp.website_id, kind, row_id)
    return asked(told) - before


async def _interactive(told: Told) -> int:
    """Requests of today's budget that were taken for people who wait."""
    await told.crisp.client.budget.give_back()
    used = await told.crisp.rows(
        select(quota_usage.c.used).where(quota_usage.c.purpose == "interactive")
    )
    return sum(row.used for row in used)


def asked(told: Told) -> int:
    counted: dict[str, int] = told.world.counters.by_route
    return sum(counted.values())


async def test_conversation_with_what_no_hook_told(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        row = await told.conversation(2)
        set_field(world, site, 2, "subject", "Changed in silence")
        send_message(world, site, 2, "Nobody told of this")
        told.hooks.take()  # lost
        world.clock.advance(MINUTE)
        cost = cost_of_conversation(complete=True, messages=row.message_count)
        assert await refresh(told, "conversation", row.id) == cost == 2
        after = await told.conversation(2)
        assert (after.subject, after.refresh_due_ms) == ("Changed in silence", None)
        said = await told.crisp.rows(select(messages.c.body))
        assert "Nobody told of this" in {message.body for message in said}
        noted = (await told.crisp.rows(select(audit_log)))[-1]
        assert (noted.action, noted.actor_name, noted.subject_id) == (
            "conversation.refreshed", "Mira", row.id,
        )  # fmt: skip


async def test_contact_from_the_interactive_share(database_url: str) -> None:
    async with imported(database_url) as told:
        world, site = told.world, told.world.main
        change_person(world, site, 3, person={"nickname": "Changed in silence"})
        told.hooks.take()  # lost
        row = await told.person(3)
        before = await _interactive(told)
        assert await refresh(told, "contact", row.id) == cost_of_contact(custom_data=False) == 1
        assert (await told.person(3)).name == "Changed in silence"
        assert await _interactive(told) == before + 1
        async with told.crisp.db.write() as connection:
            await connection.execute(update(websites).values(import_custom_data=True))
        assert await refresh(told, "contact", row.id) == cost_of_contact(custom_data=True) == 2


async def test_what_is_gone_in_crisp_is_buried(database_url: str) -> None:
    async with imported(database_url) as told:
        row = await told.conversation(2)
        remove_conversation(told.world, told.world.main, 2)
        told.hooks.take()  # lost
        await refresh(told, "conversation", row.id)
        assert (await told.conversation(2)).deleted_at is not None
        with pytest.raises(NotFound):
            await refresh(told, "conversation", row.id)


async def test_refused_with_a_reason_and_nothing_asked(database_url: str) -> None:
    async with imported(database_url) as told:
        person, talk = await told.person(3), await told.conversation(2)
        before = asked(told)
        with pytest.raises(Forbidden):
            await refresh(told, "contact", person.id, Actor("user", "v", "V", Role.VIEWER))
        with pytest.raises(NotFound):
            await refresh(told, "contact", "nobody")
        async with told.crisp.db.write() as connection:
            own = contacts.c.id == person.id
            await connection.execute(update(contacts).where(own).values(crisp_people_id=None))
        with pytest.raises(Refused, match="did not come from Crisp"):
            await refresh(told, "contact", person.id)
        async with told.crisp.db.write() as connection:
            await connection.execute(update(websites).values(status="uninstalled"))
        with pytest.raises(Refused, match="uninstalled"):
            await refresh(told, "conversation", talk.id)
        assert asked(told) == before


async def test_trouble_is_told_and_changes_nothing(database_url: str) -> None:
    async with imported(database_url) as told:
        row = await told.conversation(2)
        told.world.faults.add("status", status=402, reason="plan_required")
        with pytest.raises(CrispsyncError):
            await refresh(told, "conversation", row.id)
        told.world.faults.clear()
        after = await told.conversation(2)
        assert (after.subject, after.refresh_due_ms) == (row.subject, None)
        everything = await told.crisp.rows(select(conversations.c.refresh_due_ms))
        assert all(found.refresh_due_ms is None for found in everything)
