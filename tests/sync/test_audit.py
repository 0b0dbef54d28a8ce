"""Audits: what is stored is compared with Crisp, repaired, and told with the path that missed it (SPEC S8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from app import clock
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.db.changes import note_changes
from app.records import conversation_id
from app.sandbox.conversation_changes import remove_conversation, set_field
from app.sandbox.message_changes import edit_message, remove_message, send_message
from app.sandbox.people_changes import change_person, remove_person
from app.settings import Settings
from app.sync.audit_sample import daily_sample
from app.sync.schedule import queue_due_audits
from app.sync.tables import audit_findings, sync_runs
from app.websites.tables import websites
from tests.pulling import Crispsync, sandbox_and_crispsync

MINUTE = 60_000
ALL = {"sample": "all"}


def _fingerprints(crisp: Crispsync, i: int) -> list[int]:
    site = crisp.world.main
    return [row["fingerprint"] for row in site.spell_out(i, site.rows(i))]


def _with_messages(crisp: Crispsync, least: int, most: int = 400) -> list[int]:
    numbers = sorted(crisp.world.main.by_update.numbers())
    return [n for n in numbers if least <= len(_fingerprints(crisp, n)) <= most]


async def _findings(crisp: Crispsync) -> dict[tuple[str, str], tuple[str, str, bool]]:
    """Of the last run: (kind, id) to what, missed by, repaired."""
    run = await crisp.last_run()
    rows = await crisp.rows(select(audit_findings).where(audit_findings.c.run_id == run.id))
    return {(r.kind, r.external_id): (r.what, r.missed_by, r.repaired) for r in rows}


async def _damage(crisp: Crispsync, statements: Sequence[Any]) -> None:
    async with crisp.db.write() as connection:
        for statement in statements:
            await connection.execute(statement)
        note_changes(connection, "message", crisp.website_id, [])


async def test_damage_by_hand_is_found_and_repaired_exactly(database_url: str) -> None:  # SPEC S8
    async with sandbox_and_crispsync(
        database_url, people=30, conversations=60, frozen=True, others=()
    ) as crisp:
        world, site = crisp.world, crisp.world.main
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        world.clock.advance(10 * MINUTE)
        first, second, third = _with_messages(crisp, 4, 30)[:3]
        m, c = messages.c, conversations.c

        def at(i: int, n: int) -> Any:
            own = conversation_id(crisp.website_id, site.session_id(i))
            return (m.conversation_id == own, m.fingerprint == _fingerprints(crisp, i)[n])

        deleted = [(first, 0), (first, 2), (second, 1)]
        lost = conversation_id(crisp.website_id, site.session_id(third))
        await _damage(
            crisp,
            [
                *(delete(messages).where(*at(i, n)) for i, n in deleted),
                update(messages).where(*at(second, 2)).values(body="Tampered", content=None),
                delete(messages).where(m.conversation_id == lost),
                delete(conversations).where(c.id == lost),
            ],
        )
        assert await crisp.run("audit", sample=ALL) == "done"
        found = await _findings(crisp)
        lost_messages = {
            ("message", f"{site.session_id(third)}/{f}") for f in _fingerprints(crisp, third)
        }
        expected = {
            ("message", f"{site.session_id(i)}/{_fingerprints(crisp, i)[n]}") for i, n in deleted
        }
        changed = ("message", f"{site.session_id(second)}/{_fingerprints(crisp, second)[2]}")
        assert set(found) == {
            *expected, *lost_messages, changed, ("conversation", site.session_id(third))
        }  # fmt: skip
        assert found[changed] == ("changed", "hook", True)
        assert {found[key] for key in expected | lost_messages} == {("missing", "full", True)}
        run = await crisp.last_run()
        assert run.counts["drifted"] == run.counts["repaired"] == len(found)
        await crisp.assert_equals_truth()
        world.clock.advance(MINUTE)
        assert await crisp.run("audit", sample=ALL) == "done"
        assert await _findings(crisp) == {}
        assert (await crisp.last_run()).counts["drifted"] == 0


async def test_case_048_lost_hooks_far_back_are_found_by_an_audit(database_url: str) -> None:
    """No incremental finds these: nothing in the list moves."""
    async with sandbox_and_crispsync(
        database_url, people=60, conversations=120, frozen=True, others=()
    ) as crisp:
        world, site = crisp.world, crisp.world.main
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        world.clock.advance(10 * MINUTE)
        long = _with_messages(crisp, 90)[0]
        gone, edited = _fingerprints(crisp, long)[5], _fingerprints(crisp, long)[3]
        remove_message(world, site, long, gone)
        edit_message(world, site, long, edited, "Changed since", bump=False)
        change_person(world, site, 2, person={"nickname": "Renamed since"})
        remove_person(world, site, 5)
        away = next(n for n in sorted(site.by_update.numbers()) if n != long)
        remove_conversation(world, site, away)
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("incremental") == "done"
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("audit", sample=ALL) == "done"
        found = await _findings(crisp)
        session = site.session_id(long)
        assert found["message", f"{session}/{gone}"] == ("removed", "hook", True)
        assert found["message", f"{session}/{edited}"] == ("changed", "hook", True)
        assert found["conversation", site.session_id(away)] == ("removed", "hook", True)
        assert sorted(kind for kind, _ in found if kind == "contact") == ["contact"] * 2
        assert len(found) == 5
        await crisp.assert_equals_truth()


async def test_a_sample_covers_every_age_and_goes_on_next_time(
    database_url: str,
) -> None:  # SPEC S8
    async with sandbox_and_crispsync(
        database_url, people=30, conversations=60, frozen=True, others=()
    ) as crisp:
        world = crisp.world
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        c = conversations.c
        verified = select(c.id, c.crisp_updated_at).where(c.verified_ms.is_not(None))
        seen: set[str] = set()
        for _ in range(3):
            world.clock.advance(10 * MINUTE)
            assert await crisp.run("audit", sample={"sample": 20}) == "done"
            rows = await crisp.rows(verified)
            fresh = {row.id for row in rows} - seen
            assert len(fresh) == 20, "those nobody compared come first"
            order = [
                row.id for row in await crisp.rows(select(c.id).order_by(c.crisp_updated_at, c.id))
            ]
            quarters = {order.index(own_id) * 4 // len(order) for own_id in fresh}
            # The last 20 are whatever is left: there is nothing to choose from.
            assert quarters == {0, 1, 2, 3} or len(seen) == 40
            seen |= fresh
        assert len(seen) == 60
        assert await _findings(crisp) == {}


async def test_a_sample_meets_a_lost_conversation(database_url: str) -> None:
    async with sandbox_and_crispsync(
        database_url, people=30, conversations=60, frozen=True, others=()
    ) as crisp:
        world, site = crisp.world, crisp.world.main
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        world.clock.advance(10 * MINUTE)
        lost = _with_messages(crisp, 2, 30)[0]
        own = conversation_id(crisp.website_id, site.session_id(lost))
        await _damage(
            crisp,
            [
                delete(messages).where(messages.c.conversation_id == own),
                delete(conversations).where(conversations.c.id == own),
            ],
        )
        assert await crisp.run("audit", sample={"sample": 12}) == "done"
        assert ("conversation", site.session_id(lost)) in await _findings(crisp)
        await crisp.assert_equals_truth()


async def test_many_gone_conversations_wait_for_a_person(database_url: str) -> None:  # SPEC S9
    async with sandbox_and_crispsync(
        database_url, people=10, conversations=20, frozen=True, others=()
    ) as crisp:
        world = crisp.world
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        world.clock.advance(10 * MINUTE)
        for i in range(5):
            remove_conversation(world, world.main, i)
        assert await crisp.run("audit", sample=ALL) == "partial"
        run = await crisp.last_run()
        assert "wait for a person" in run.error
        gone = select(func.count()).where(conversations.c.deleted_at.is_not(None))
        async with crisp.db.read() as connection:
            assert await connection.scalar(gone) == 0


async def test_what_happened_a_moment_ago_is_no_drift(database_url: str) -> None:
    async with sandbox_and_crispsync(
        database_url, people=10, conversations=20, frozen=True, others=()
    ) as crisp:
        world = crisp.world
        world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        world.clock.advance(10 * MINUTE)
        send_message(world, world.main, 3, "Just now")
        set_field(world, world.main, 4, "state", "resolved")
        change_person(world, world.main, 2, person={"nickname": "Just renamed"})
        world.clock.advance(10_000)
        assert await crisp.run("audit", sample=ALL) == "done"
        assert await _findings(crisp) == {}


async def test_an_audit_stops_at_its_share_of_requests(database_url: str) -> None:  # SPEC S6, S8
    async with sandbox_and_crispsync(
        database_url, people=10, conversations=90, frozen=True, others=()
    ) as crisp:
        crisp.world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        before = crisp.client.budget.spent[crisp.website_id]
        sample = {"sample": 90, "requests_at_most": 30}
        assert await crisp.run("audit", sample=sample) == "done"
        used = crisp.client.budget.spent[crisp.website_id] - before
        assert used < 30 + 3 * 24, "it ends with the threads in hand"


def test_the_daily_sample_is_a_share_of_the_quota() -> None:  # SPEC S8
    assert daily_sample(5000, 2, 1) == {"sample": 93, "requests_at_most": 100}
    assert daily_sample(5000, 2, 4) == {"sample": 18, "requests_at_most": 25}
    assert daily_sample(100, 1, 50) == {"sample": 10, "requests_at_most": 10}


@pytest.mark.parametrize("percent", [2, 0])
async def test_an_audit_is_due_once_a_day(database_url: str, percent: float) -> None:
    settings = Settings(_env_file=None, database_url=database_url, audit_quota_percent=percent)
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        assert await crisp.run("full") == "done"
        assert await queue_due_audits(crisp.db, settings) == 0, "it was read just now"
        await _age(crisp, hours=25)
        wanted = 1 if percent else 0
        assert await queue_due_audits(crisp.db, settings) == wanted
        assert await queue_due_audits(crisp.db, settings) == 0
        runs = await crisp.rows(select(sync_runs).where(sync_runs.c.kind == "audit"))
        assert [run.started_by for run in runs] == ["schedule"] * wanted


async def _age(crisp: Crispsync, hours: int) -> None:
    async with crisp.db.write() as connection:
        moment = clock.now() - timedelta(hours=hours)
        await connection.execute(update(websites).values(first_imported_at=moment))


async def test_what_a_person_wrote_is_no_drift(database_url: str) -> None:  # SPEC D7
    async with sandbox_and_crispsync(
        database_url, people=10, conversations=10, frozen=True, others=()
    ) as crisp:
        crisp.world.clock.advance(10 * MINUTE)
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(10 * MINUTE)
        async with crisp.db.write() as connection:
            await connection.execute(update(contacts).values(name="As we call them"))
            note_changes(connection, "contact", crisp.website_id, [])
        assert await crisp.run("audit", sample=ALL) == "done"
        assert await _findings(crisp) == {}
        names = {row.name for row in await crisp.rows(select(contacts.c.name))}
        assert names == {"As we call them"}
