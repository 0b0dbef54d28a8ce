"""Two operators and a plugin write at once: each message is kept once, and nothing is written back (case 73)."""

from __future__ import annotations

from sqlalchemy import select

from app.conversations.tables import messages
from app.insights.thread import Said, facts_of, figures_of
from app.sandbox.hook_bodies import body_of
from app.sandbox.message_changes import send_message
from app.sandbox.messages import BOT_ORIGIN
from app.webhooks.apply import apply_waiting
from app.websites.business_hours import DEFAULT, read_hours
from tests.hooking import receive, row_of
from tests.pulling import sandbox_and_crispsync

TURNS = 5


async def test_case_073_what_a_plugin_writes_is_kept_once_and_answered_by_nobody(
    database_url: str,
) -> None:
    """Told by its hook, told again, and read again by a pull: all three ways are the same message."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=6, frozen=True) as crisp:
        world, site = crisp.world, crisp.world.main
        assert await crisp.run("full") == "done"
        world.counters.keep_log(10_000)
        changes = []
        for turn in range(TURNS):
            world.clock.advance(1_000)
            asked = send_message(world, site, 1, f"Question {turn}")
            # At the same millisecond: only the fingerprint tells them apart.
            plugin = send_message(
                world, site, 1, f"Bot {turn}", inbound=False, automated=True, origin=BOT_ORIGIN
            )
            first = send_message(world, site, 1, f"First {turn}", inbound=False, origin="chat")
            second = send_message(world, site, 1, f"Second {turn}", inbound=False, origin="chat")
            changes += [asked, plugin, first, second]
        bodies = [body for change in changes if (body := body_of(change))]
        assert len(bodies) == 4 * TURNS
        await receive(crisp.db, *(row_of(body) for body in reversed(bodies)))
        await apply_waiting(crisp.db)
        echoed = [
            body.replace(b'{"website_id"', b'{"routing_ids":[],"website_id"', 1) for body in bodies
        ]
        await receive(crisp.db, *(row_of(body) for body in echoed))
        await apply_waiting(crisp.db)
        # Applying asked for nothing: no answer, no follow-up, no loop.
        assert [one.method for one in world.counters.log if "/messages" in one.route] == []
        world.clock.advance(600_000)
        assert await crisp.run("incremental") == "done"
        await crisp.assert_equals_truth()
        m = messages.c
        written = {change.data["fingerprint"] for change in changes}
        found = await crisp.rows(
            select(m.fingerprint, m.body, m.automated, m.direction, m.origin).where(
                m.fingerprint.in_(written)
            )
        )
        assert len(found) == 4 * TURNS
        by_plugin = {row.body for row in found if row.automated}
        assert by_plugin == {f"Bot {turn}" for turn in range(TURNS)}
        assert {row.origin for row in found if row.automated} == {BOT_ORIGIN}
        assert {row.direction for row in found if row.automated} == {"outbound"}
        methods = {one.method for one in world.counters.log}
        assert methods <= {"GET", "HEAD"}
        assert world.counters.refused_writes == []


async def test_case_073_a_plugins_answer_is_no_answer_of_a_person(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=5, conversations=6, frozen=True) as crisp:
        world, site = crisp.world, crisp.world.main
        asked = send_message(world, site, 1, "Question")
        plugin = send_message(
            world, site, 1, "Bot", inbound=False, automated=True, origin=BOT_ORIGIN
        )
        world.clock.advance(600_000)
        assert await crisp.run("full") == "done"
        m = messages.c
        wanted = [change.data["fingerprint"] for change in (asked, plugin)]
        rows = await crisp.rows(select(messages).where(m.fingerprint.in_(wanted)))
        said = [Said(row.sent_at, row.direction, row.automated) for row in rows]
        figures = figures_of(facts_of(said, read_hours(DEFAULT, "UTC")), "pending")
        assert len(said) == 2
        assert figures.first_response is None
        assert figures.waiting_since is not None
