"""News from two sides: a page that was fetched, and what became known before it was written."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.crisp import translate
from app.crisp.paging import Page, page_of
from app.ingest import ingest, remove_contacts, remove_conversations
from app.records import Batch
from app.sandbox.conversation_changes import remove_conversation, set_field
from app.sandbox.message_changes import edit_message
from app.sandbox.people_changes import change_person, remove_person
from app.sandbox.records import Change
from app.sync.conversations import fetch_conversations, save_conversations
from app.sync.execute import execute
from app.sync.people_pages import fetch_people, save_people
from app.sync.pull import Pull
from app.sync.thread import Part
from app.sync.threads import save_parts
from tests.flows.steps import CONVERSATIONS, MESSAGES, PEOPLE, pull_of
from tests.pulling import Crispsync, sandbox_and_crispsync

MINUTE = 60_000


@pytest.mark.parametrize("route", [CONVERSATIONS, PEOPLE, MESSAGES, None])
async def test_case_029_same_row_twice_in_every_answer(
    database_url: str, route: str | None
) -> None:
    async with sandbox_and_crispsync(database_url, people=70, conversations=70) as crisp:
        crisp.world.faults.add("duplicate_rows", route=route)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        crisp.world.mix = {"message_new": 1, "conversation_new": 1, "state": 1}
        crisp.world.changes_per_request = 1
        assert await crisp.run("full") == "done"
        crisp.world.changes_per_request = 0
        crisp.world.clock.advance(5 * MINUTE)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


async def test_case_029_newest_of_two_versions_stays(database_url: str) -> None:  # SPEC D4
    """One page with an old and a new version of the same rows, in either order."""
    async with sandbox_and_crispsync(database_url, people=45, conversations=45) as crisp:
        pull = await pull_of(crisp, await crisp.claim("full"))
        old, old_people = await _conversation_page(pull), await _people_page(pull)
        crisp.world.clock.advance(MINUTE)
        for i in range(45):
            set_field(crisp.world, crisp.world.main, i, "subject", f"new {i}", bump=True)
            change_person(crisp.world, crisp.world.main, i, person={"nickname": f"New {i}"})
        new, new_people = await _conversation_page(pull), await _people_page(pull)
        for items in ([*new.items, *old.items], [*old.items, *new.items]):
            await save_conversations(pull, Page(1, items, more=False, asked_ms=old.asked_ms))
            await _assert_subjects(crisp, new)
        both = [*new_people.items, *old_people.items]
        await save_people(pull, Page(1, both, more=False, asked_ms=old_people.asked_ms))
        shown = {item["people_id"]: item["person"]["nickname"] for item in new_people.items}
        stored = await crisp.rows(select(contacts.c.crisp_people_id, contacts.c.name))
        assert {row.crisp_people_id: row.name for row in stored} == shown


@pytest.mark.parametrize("stored_before", [True, False])
async def test_case_030_news_is_newer_than_the_page(
    database_url: str, stored_before: bool
) -> None:  # SPEC D4
    """Fetched, changed in Crisp, the change told and written, and only then the page is written."""
    async with sandbox_and_crispsync(database_url, people=30, conversations=40) as crisp:
        world, site = crisp.world, crisp.world.main
        if stored_before:
            assert await crisp.run("full") == "done"
            world.clock.advance(MINUTE)
        pull = await pull_of(crisp, await crisp.claim("full"))
        page, people = await _conversation_page(pull), await _people_page(pull)
        world.clock.advance(MINUTE)
        for i in range(0, 40, 2):
            set_field(world, site, i, "state", "resolved")
            set_field(world, site, i, "subject", f"told {i}")
        for p in range(0, 30, 2):
            change_person(world, site, p, person={"nickname": f"Told {p}"})
        for i in range(0, 40, 2):
            await _tell_conversation(crisp, pull, site.session_id(i))
        for p in range(0, 30, 2):
            await _tell_person(crisp, pull, site.people_id(p))
        await save_conversations(pull, page)
        await save_people(pull, people)
        await _assert_as_in_crisp(crisp)


async def test_case_030_edit_is_newer_than_the_batch(database_url: str) -> None:  # SPEC D4
    async with sandbox_and_crispsync(database_url, people=5, conversations=40) as crisp:
        world, site = crisp.world, crisp.world.main
        pull = await pull_of(crisp, await crisp.claim("full"))
        await save_conversations(pull, await _conversation_page(pull))
        part = await _read_part(pull, site.session_id(23))
        world.clock.advance(MINUTE)
        rows = site.spell_out(23, site.rows(23)[-40:])
        edited = [row["fingerprint"] for row in rows if row["type"] == "text"]
        assert len(edited) > 5
        for fingerprint in edited:
            edit_message(world, site, 23, fingerprint, "as it is now")
        whole = await _read_part(pull, site.session_id(23))
        await save_parts(pull, lambda: [whole])
        await save_parts(pull, lambda: [part])
        stored = await crisp.rows(
            select(messages.c.fingerprint, messages.c.body, messages.c.edited_at)
        )
        now = {row.fingerprint: row for row in stored}
        assert all(now[fingerprint].body == "as it is now" for fingerprint in edited)
        assert all(now[fingerprint].edited_at for fingerprint in edited)


async def test_case_030_told_between_any_two_answers_of_a_run(database_url: str) -> None:
    """While a full run reads, each change is told at once, as a hook would: nothing of it is undone."""
    async with sandbox_and_crispsync(
        database_url, people=20, conversations=110, mix={"state": 1}, changes_per_request=1
    ) as crisp:
        held = await crisp.claim("full")
        pull = await pull_of(crisp, held)
        told: asyncio.Queue[str | None] = asyncio.Queue()

        def listen(change: Change) -> None:
            if change.website_id == crisp.website_id:
                told.put_nowait(str(change.data["session_id"]))

        async def tell() -> int:
            count = 0
            while (session := await told.get()) is not None:
                await _tell_conversation(crisp, pull, session)
                count += 1
            return count

        crisp.world.listeners.append(listen)
        telling = asyncio.create_task(tell())
        crisp.world.changes_left = 150
        assert await execute(crisp.db, crisp.client, held) == "done"
        crisp.world.changes_per_request = 0
        told.put_nowait(None)
        assert await telling > 100
        await _assert_as_in_crisp(crisp)


@pytest.mark.parametrize("removed_after_ms", [0, MINUTE])
async def test_case_031_removed_before_the_page_is_written(
    database_url: str, removed_after_ms: int
) -> None:  # SPEC D4
    """The tombstone is observed at or after the moment of the page: it wins."""
    async with sandbox_and_crispsync(database_url, people=30, conversations=40) as crisp:
        world, site = crisp.world, crisp.world.main
        assert await crisp.run("full") == "done"
        world.clock.advance(MINUTE)
        for i in range(40):
            set_field(world, site, i, "subject", f"last words {i}")
        pull = await pull_of(crisp, await crisp.claim("full"))
        page, people = await _conversation_page(pull), await _people_page(pull)
        gone, gone_people = [site.session_id(3), site.session_id(9)], [site.people_id(1)]
        world.clock.advance(removed_after_ms)
        remove_conversation(world, site, 3)
        remove_conversation(world, site, 9)
        remove_person(world, site, 1)

        async def hook(connection: object) -> None:
            moment = max(page.asked_ms, people.asked_ms) + removed_after_ms
            await remove_conversations(connection, pull.rules, dict.fromkeys(gone, moment))  # type: ignore[arg-type]
            await remove_contacts(connection, pull.rules, dict.fromkeys(gone_people, moment))  # type: ignore[arg-type]

        await crisp.db.transact(hook)
        await save_conversations(pull, page)
        await save_people(pull, people)
        await _assert_as_in_crisp(crisp)


async def test_case_031_thread_of_a_conversation_that_was_removed(database_url: str) -> None:
    """Its messages arrive after its tombstone: it stays removed, and is due no more. SPEC D4"""
    async with sandbox_and_crispsync(database_url, people=5, conversations=30) as crisp:
        site = crisp.world.main
        pull = await pull_of(crisp, await crisp.claim("full"))
        await save_conversations(pull, await _conversation_page(pull))
        session = site.session_id(4)
        part = await _read_part(pull, session)
        moment = crisp.client.clock.now_ms()

        async def hook(connection: object) -> None:
            await remove_conversations(connection, pull.rules, {session: moment})  # type: ignore[arg-type]

        await crisp.db.transact(hook)
        remove_conversation(crisp.world, site, 4)
        await save_parts(pull, lambda: [part])
        await _assert_as_in_crisp(crisp)
        rows = await crisp.rows(
            select(conversations.c.messages_due).where(conversations.c.session_id == session)
        )
        assert [row.messages_due for row in rows] == [False]


async def test_case_031_page_from_before_a_revival_changes_nothing(database_url: str) -> None:
    """Removed, then back: the record itself was read after the removal, the page before. SPEC D4"""
    async with sandbox_and_crispsync(database_url, people=5, conversations=30) as crisp:
        site = crisp.world.main
        assert await crisp.run("full") == "done"
        pull = await pull_of(crisp, await crisp.claim("full"))
        crisp.world.clock.advance(MINUTE)
        page = await _conversation_page(pull)
        crisp.world.clock.advance(MINUTE)
        session = site.session_id(4)
        moment = page.asked_ms + 30_000

        async def hook(connection: object) -> None:
            await remove_conversations(connection, pull.rules, {session: moment})  # type: ignore[arg-type]

        await crisp.db.transact(hook)
        await save_conversations(pull, page)
        assert session not in await _live_sessions(crisp)
        await _tell_conversation(crisp, pull, session)
        await save_conversations(pull, page)
        await _assert_as_in_crisp(crisp)


async def _conversation_page(pull: Pull) -> Page:
    return await fetch_conversations(pull, 0, None)(1)


async def _people_page(pull: Pull) -> Page:
    return await fetch_people(pull, None, None)(1)


async def _read_part(pull: Pull, session: str) -> Part:
    answer = await pull.get(f"conversation/{session}/messages")
    found = [translate.message(item, session, answer.asked_ms) for item in page_of(1, answer).items]
    return Part(session, messages=found)  # type: ignore[arg-type]


async def _tell_conversation(crisp: Crispsync, pull: Pull, session: str) -> None:
    """What a hook leads to: the record itself is asked for and written."""
    answer = await crisp.client.get(
        f"website/{crisp.website_id}/conversation/{session}",
        website_id=crisp.website_id,
        purpose="hooks",
    )
    record = translate.conversation(answer.data, answer.asked_ms, direct=True)
    batch = Batch(crisp.website_id, conversations=[record])  # type: ignore[list-item]
    await crisp.db.transact(lambda connection: ingest(connection, pull.rules, batch))


async def _tell_person(crisp: Crispsync, pull: Pull, people_id: str) -> None:
    answer = await crisp.client.get(
        f"website/{crisp.website_id}/people/profile/{people_id}",
        website_id=crisp.website_id,
        purpose="hooks",
    )
    record = translate.contact(answer.data, answer.asked_ms, direct=True)
    batch = Batch(crisp.website_id, contacts=[record])  # type: ignore[list-item]
    await crisp.db.transact(lambda connection: ingest(connection, pull.rules, batch))


async def _assert_subjects(crisp: Crispsync, page: Page) -> None:
    stored = await crisp.rows(select(conversations.c.session_id, conversations.c.subject))
    wanted = {item["session_id"]: item["meta"]["subject"] for item in page.items}
    assert {row.session_id: row.subject for row in stored} == wanted


async def _assert_as_in_crisp(crisp: Crispsync) -> None:
    """State, subject and time of every conversation; name of every person. Messages are another matter."""
    site = crisp.world.main
    bodies = [site.conversation(i) for i in site.by_update.numbers()]
    wanted = {
        body["session_id"]: (body["state"], body["meta"].get("subject"), body["updated_at"])
        for body in bodies
    }
    stored = await crisp.rows(select(conversations).where(conversations.c.deleted_at.is_(None)))
    found = {row.session_id: (row.status, row.subject, row.version_ms) for row in stored}
    assert found == {
        session: (state, subject or None, at) for session, (state, subject, at) in wanted.items()
    }
    people = await crisp.rows(
        select(contacts.c.crisp_people_id, contacts.c.version_ms).where(
            contacts.c.deleted_at.is_(None)
        )
    )
    if people:
        assert {row.crisp_people_id: row.version_ms for row in people} == {
            site.people_id(p): site.profile(p)["updated_at"] for p in site.people_order.numbers()
        }


async def _live_sessions(crisp: Crispsync) -> set[str]:
    rows = await crisp.rows(
        select(conversations.c.session_id).where(conversations.c.deleted_at.is_(None))
    )
    return {row.session_id for row in rows}
