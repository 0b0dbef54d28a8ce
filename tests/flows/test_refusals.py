"""Crisp refuses: a credential, a scope, a website, one record. Each stops what it is about, nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.crisp.client import Credential, CrispClient
from app.errors import Refused
from app.sandbox.conversation_changes import remove_conversation
from app.sandbox.installs import reinstall, uninstall
from app.sandbox.people_changes import remove_person
from app.sync.execute import execute
from app.sync.leases import claim
from app.sync.schedule import queue_due_runs
from app.sync.tables import sync_failures
from tests.flows.steps import MESSAGES, asked, before_answers, end_pause, website_row
from tests.pulling import Crispsync, sandbox_and_crispsync

MINUTE = 60_000
KEPT = (contacts, conversations, messages)
WHERE = {
    "people": "*/people/*",
    "conversations": "*/conversations/*",
    "messages": "*/messages",
}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", WHERE)
async def test_case_039_scope_is_missing(database_url: str, status: int, where: str) -> None:
    """SPEC C3, T1: the run fails with a remedy, the website shows it, and asking does not go on."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=60) as crisp:
        crisp.world.faults.add(
            "status", status=status, route=WHERE[where], website=crisp.website_id
        )
        assert await crisp.run("full") == "failed"
        run, website = await crisp.last_run(), await website_row(crisp)
        assert str(status) in run.error
        assert "Tokens" in run.error
        assert website.attention == run.error
        assert website.status == "connected"
        assert run.resume_at is None
        assert crisp.world.counters.by_status[status] <= 8, "no more than were under way"
        assert await claim(crisp.db, "test", 10) is None, "no retry"
        crisp.world.faults.clear()
        assert await crisp.run("full") == "done"
        assert (await website_row(crisp)).attention is None
        await crisp.assert_equals_truth()


async def test_case_039_key_that_was_replaced(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=10, conversations=20) as crisp:
        old = Credential(crisp.world.identifier, "0" * 64)
        client = CrispClient(crisp.url, old, crisp.client.budget)
        try:
            assert await execute(crisp.db, client, await crisp.claim("full")) == "failed"
        finally:
            await client.close()
        assert "CRISP_IDENTIFIER and CRISP_KEY" in (await website_row(crisp)).attention


async def test_case_039_other_customers_continue(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=10, conversations=20) as crisp:
        first = crisp.website_id
        second = next(
            site.website_id
            for site in crisp.world.sites.values()
            if site.installed and site.website_id != first
        )
        await crisp.connect(second)
        crisp.world.faults.add("status", status=403, website=first)
        assert await crisp.run("full") == "failed"
        crisp.website_id = second
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        assert (await website_row(crisp)).attention is None


async def test_case_039_operators_are_worth_no_failure(database_url: str) -> None:
    """Without that scope names stay unknown, all else comes."""
    async with sandbox_and_crispsync(database_url, people=10, conversations=30) as crisp:
        crisp.world.faults.add("status", status=403, route="*/operators/list")
        assert await crisp.run("full") == "done"
        assert await _count(crisp, conversations) == 30
        crisp.world.faults.clear()
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


@pytest.mark.parametrize("after", [0, 1, 4, 12, 40])
async def test_case_040_uninstalled_at_any_step(database_url: str, after: int) -> None:  # SPEC C4
    async with sandbox_and_crispsync(database_url, people=60, conversations=60) as crisp:
        assert await crisp.run("full") == "done"
        before = [await _live(crisp, table) for table in KEPT]
        crisp.world.clock.advance(30 * MINUTE)
        crisp.world.mix = {"message_new": 1}
        crisp.world.changes_per_request = 2
        crisp.world.faults.add("uninstall", after=after, count=1, website=crisp.website_id)
        state = await crisp.run("full")
        crisp.world.changes_per_request = 0
        if crisp.world.main.installed:  # the run had fewer requests than that
            assert state == "done"
            return
        website = await website_row(crisp)
        assert state == "cancelled"
        assert website.status == "uninstalled"
        assert "data is kept" in website.attention
        after_it = [await _live(crisp, table) for table in KEPT]
        assert all(now >= then for now, then in zip(after_it, before, strict=True)), (
            "nothing is gone"
        )
        sent = crisp.world.counters.total
        with pytest.raises(Refused, match="no longer installed"):
            await crisp.run("incremental")
        assert await queue_due_runs(crisp.db, 0) == 0
        assert crisp.world.counters.total == sent


async def test_case_040_uninstalled_before_the_first_import(database_url: str) -> None:  # SPEC C4
    async with sandbox_and_crispsync(database_url, people=10, conversations=20) as crisp:
        uninstall(crisp.world, crisp.world.main)
        assert await crisp.run("full") == "cancelled"
        assert (await website_row(crisp)).status == "uninstalled"
        assert await _count(crisp, conversations) == 0


async def test_case_040_installed_again_resumes_with_the_kept_data(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=20, conversations=40) as crisp:
        assert await crisp.run("full") == "done"
        uninstall(crisp.world, crisp.world.main)
        assert await crisp.run("incremental") == "cancelled"
        reinstall(crisp.world, crisp.world.main)
        await crisp.connect()
        assert (await website_row(crisp)).attention is None
        crisp.world.counters.reset()
        assert await crisp.run("full") == "done"
        assert asked(crisp, MESSAGES) == 0, "what is stored is not asked for again"
        await crisp.assert_equals_truth()


async def test_case_041_conversation_removed_while_its_thread_is_asked_for(
    database_url: str,
) -> None:  # SPEC S9, D4
    """404 not_found on the record itself: a tombstone, and the run is well."""
    async with sandbox_and_crispsync(database_url, people=10, conversations=60) as crisp:
        world, site = crisp.world, crisp.world.main
        gone = [site.session_id(i) for i in (3, 17, 29)]

        def remove(target: str) -> None:
            found = next((session for session in gone if session in target), None)
            i = site.number_of(found) if found else None
            if i is not None:
                remove_conversation(world, site, i)

        with before_answers(world, MESSAGES, remove):
            assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()
        assert (await crisp.last_run()).counts["removed"] == 3
        assert await _buried(crisp, conversations) == set(gone)


async def test_case_041_thread_that_is_not_found_alone_deletes_nothing(database_url: str) -> None:
    """Only the conversation's own 404 is believed; the run names the one it could not read."""
    async with sandbox_and_crispsync(database_url, people=10, conversations=30) as crisp:
        session = crisp.world.main.session_id(5)
        crisp.world.faults.add("status", status=404, route=MESSAGES, match=session)
        assert await crisp.run("full") == "partial"
        failures = await crisp.rows(select(sync_failures.c.kind, sync_failures.c.external_id))
        assert [tuple(row) for row in failures] == [("conversation", session)]
        assert await _live(crisp, conversations) == 30
        crisp.world.faults.clear()
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()


@pytest.mark.parametrize("reason", ["", "route_not_found", "error"])
async def test_case_041_another_404_is_no_removal(
    database_url: str, reason: str
) -> None:  # SPEC S9
    async with sandbox_and_crispsync(database_url, people=60, conversations=60) as crisp:
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(5 * MINUTE)
        remove_conversation(crisp.world, crisp.world.main, 7)
        crisp.world.faults.add(
            "status", status=404, reason=reason or None, route="*/conversation/{session_id}"
        )
        if not reason:
            crisp.world.faults.faults[-1].reason = "x"
        await crisp.run("full")
        assert await _live(crisp, conversations) == 60


async def test_case_041_what_a_full_pass_did_not_meet_is_asked_for(database_url: str) -> None:
    """SPEC S9: one person and one conversation of a hundred are gone; each is confirmed by a GET."""
    async with sandbox_and_crispsync(database_url, people=100, conversations=100) as crisp:
        assert await crisp.run("full") == "done"
        world, site = crisp.world, crisp.world.main
        world.clock.advance(5 * MINUTE)
        remove_person(world, site, 2)
        remove_conversation(world, site, 41)
        world.counters.reset()
        assert await crisp.run("full") == "done"
        assert asked(crisp, "/website/{website_id}/people/profile/{people_id}") == 1
        assert asked(crisp, "/website/{website_id}/conversation/{session_id}") == 1
        assert (await crisp.last_run()).counts["removed"] == 2
        await crisp.assert_equals_truth()
        assert await _buried(crisp, conversations) == {site.session_id(41)}
        assert await _count(crisp, contacts) == 100, "a tombstone stays"


async def test_case_041_many_removals_wait_for_a_person(database_url: str) -> None:  # SPEC S9
    async with sandbox_and_crispsync(database_url, people=100, conversations=100) as crisp:
        assert await crisp.run("full") == "done"
        world, site = crisp.world, crisp.world.main
        world.clock.advance(5 * MINUTE)
        for i in (4, 5, 6):
            remove_conversation(world, site, i)
        assert await crisp.run("full") == "partial"
        error = (await crisp.last_run()).error
        assert "3 of 100 conversations" in error
        assert "--accept-removals" in error
        assert await _live(crisp, conversations) == 100
        assert await crisp.run("full", accept_removals=True) == "done"
        await crisp.assert_equals_truth()


async def test_case_041_removed_and_back_again(database_url: str) -> None:  # SPEC D4
    """A list page does not revive it; a GET of the record itself does."""
    async with sandbox_and_crispsync(database_url, people=60, conversations=100) as crisp:
        assert await crisp.run("full") == "done"
        world, site = crisp.world, crisp.world.main
        world.clock.advance(5 * MINUTE)
        before = site.updated_at(41)
        remove_conversation(world, site, 41)
        assert await crisp.run("full") == "done"
        assert await _buried(crisp, conversations) == {site.session_id(41)}
        site.overlays[41].removed_at = None
        site.overlays[41].updated_at = before
        site.enlist(41)
        world.clock.advance(5 * MINUTE)
        assert await crisp.run("full") == "done"
        assert await _live(crisp, conversations) == 99


async def test_case_041_unhealthy_pass_believes_no_removal(database_url: str) -> None:  # SPEC S9
    async with sandbox_and_crispsync(database_url, people=100, conversations=160) as crisp:
        assert await crisp.run("full") == "done"
        world, site = crisp.world, crisp.world.main
        world.clock.advance(5 * MINUTE)
        remove_conversation(world, site, 41)
        world.faults.add("empty_page", route="*/conversations/*", page=3)
        world.counters.reset()
        assert await crisp.run("full") == "partial"
        assert asked(crisp, "/website/{website_id}/conversation/{session_id}") == 0
        assert await _live(crisp, conversations) == 160
        world.faults.clear()
        await end_pause(crisp)
        assert await crisp.run("full") == "done"
        await crisp.assert_equals_truth()


async def _count(crisp: Crispsync, table: object) -> int:
    return int((await crisp.rows(select(func.count()).select_from(table)))[0][0])  # type: ignore[arg-type]


async def _live(crisp: Crispsync, table: object) -> int:
    alive = select(func.count()).select_from(table).where(table.c.deleted_at.is_(None))  # type: ignore[attr-defined, arg-type]
    return int((await crisp.rows(alive))[0][0])


async def _buried(crisp: Crispsync, table: object) -> set[str]:
    rows = await crisp.rows(
        select(conversations.c.session_id).where(conversations.c.deleted_at.is_not(None))
    )
    return {row.session_id for row in rows}
