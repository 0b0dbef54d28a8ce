"""Records that cannot be kept, websites larger than a day's quota, very long threads, empty websites."""

from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import event, select, update

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.crisp.tables import quota_pauses, quota_usage
from app.sandbox.clock import DAY
from app.sandbox.conversation_changes import begin_conversation, set_field
from app.sandbox.message_changes import send_message
from app.sandbox.people_changes import change_person
from app.sync.execute import execute
from app.sync.leases import claim
from app.sync.runs import resume
from app.sync.tables import sync_failures, sync_runs
from app.sync.thread import BATCHES_A_PART
from app.sync.threads import MESSAGES_A_WRITE
from tests.pulling import Crispsync, sandbox_and_crispsync

# A part is BATCHES_A_PART answers of 40; parts are added to a write until it has MESSAGES_A_WRITE.
MOST_IN_A_WRITE = MESSAGES_A_WRITE + BATCHES_A_PART * 40


def nested(depth: int) -> Any:
    """Readable JSON that no database column here takes."""
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


async def test_case_053_one_poison_record_in_each_page(database_url: str) -> None:
    """49 of 50 are saved, the other is listed with its reason, and the run goes on behind it."""
    async with sandbox_and_crispsync(database_url, people=120, conversations=120) as crisp:
        world, site = crisp.world, crisp.world.main
        change_person(world, site, 5, oddity=nested(400))
        change_person(world, site, 70, people_id=17)
        set_field(world, site, 60, "oddity", nested(400))
        poisoned = send_message(world, site, 7, "fine", oddity=nested(400)).as_dict()["data"]
        assert await crisp.run("full") == "partial"
        failed = {
            (row.kind, row.external_id): row.reason
            for row in await crisp.rows(select(sync_failures))
        }
        assert set(failed) == {
            ("contact", site.people_id(5)),
            ("contact", "17"),
            ("conversation", site.session_id(60)),
            ("message", f"{site.session_id(7)}/{poisoned['fingerprint']}"),
        }  # fmt: skip
        assert failed["contact", "17"] == "the profile has no usable people_id"
        assert failed["contact", site.people_id(5)].startswith("the database refuses it")
        assert len(await crisp.rows(select(contacts.c.id))) == 118
        assert len(await crisp.rows(select(conversations.c.id))) == 119
        row = await crisp.last_run()
        assert (row.counts["failed"], row.state) == (4, "partial")
        assert row.finished_at is not None
        of_seven = select(conversations.c.message_count).where(
            conversations.c.session_id == site.session_id(7)
        )
        assert (await crisp.rows(of_seven))[0].message_count == site.message_count(7) - 1


async def a_day_passes(crisp: Crispsync) -> None:
    """Midnight for both: Crisp's clock goes on by a day, and what was counted here was yesterday."""
    crisp.world.clock.advance(DAY)
    async with crisp.db.write() as connection:
        await connection.execute(update(quota_usage).values(day="2000-01-01 " + quota_usage.c.day))
        await connection.execute(update(quota_pauses).values(until_ms=0))


async def test_case_054_a_full_sync_larger_than_the_days_quota(database_url: str) -> None:
    """It parks, says until when, and goes on the next day where it was; no page is asked for twice."""
    async with sandbox_and_crispsync(
        database_url, people=120, conversations=150, daily_quota=100, quota=100
    ) as crisp:
        held = await crisp.claim("full")
        state = await execute(crisp.db, crisp.client, held)
        days, stored = 1, 0
        while state == "paused":
            row = await crisp.last_run()
            assert row.resume_at is not None
            assert row.resume_at.hour == row.resume_at.minute == 0
            assert "goes on after 00:00 UTC" in row.error
            assert crisp.world.quota.used <= 100, "Crisp itself never has to refuse"
            assert await claim(crisp.db, "test", 10, held.run_id) is None, "it waits for its day"
            now = await _stored(crisp)
            assert now > stored, "each day brings more"
            stored = now
            await a_day_passes(crisp)
            await resume(crisp.db, crisp.website_id, held.run_id)
            again = await claim(crisp.db, "test", 10, held.run_id)
            assert again is not None
            state = await execute(crisp.db, crisp.client, again)
            days += 1
        assert (state, days >= 3) == ("done", True)
        await crisp.assert_equals_truth()
        assert (await crisp.last_run()).requests < 330, "what was read is not read again"


async def _stored(crisp: Crispsync) -> int:
    columns = (contacts.c.id, conversations.c.id, messages.c.fingerprint)
    return sum([len(await crisp.rows(select(column))) for column in columns])


async def test_case_054_a_parked_run_wakes_by_itself_when_its_time_has_come(
    database_url: str,
) -> None:
    async with sandbox_and_crispsync(
        database_url, people=5, conversations=60, daily_quota=60
    ) as crisp:
        assert await crisp.run("full") == "paused"
        await a_day_passes(crisp)
        async with crisp.db.write() as connection:
            earlier = (await crisp.last_run()).resume_at - timedelta(days=1)
            await connection.execute(update(sync_runs).values(resume_at=earlier))
        held = await claim(crisp.db, "test", 10)
        assert held is not None
        assert await execute(crisp.db, crisp.client, held) in {"done", "paused"}


async def test_case_055_a_conversation_of_three_thousand_messages(database_url: str) -> None:
    """It comes in parts of bounded size, and a run that is stopped goes on behind the last part."""
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        world, site = crisp.world, crisp.world.main
        i, _ = begin_conversation(world, site, content=None)
        start = world.clock.now() - 10_000_000
        for n in range(3_000):
            send_message(world, site, i, f"message {n}", at_ms=start + n * 1000, bump=n == 2_999)
        sizes = watch_message_writes(crisp)
        # The first reading is cut short after some parts, by a fault that stays for a while.
        world.faults.add("status", status=403, after=60, count=1, route="*/messages")
        assert await crisp.run("full") == "failed"
        row = (await crisp.rows(select(conversations)))[0]
        assert 0 < row.message_count < 3_000
        assert row.messages_back_to_ms is not None
        world.counters.reset()
        assert await crisp.run("full") == "done"
        asked = sum(
            n for route, n in world.counters.by_route.items() if route.endswith("/messages")
        )
        left = (3_000 - row.message_count) / 39  # each answer repeats the message it was asked from
        assert asked < left + 6, "what was stored is not read again"
        await crisp.assert_equals_truth()
        assert len(sizes) >= 3_000 // MOST_IN_A_WRITE
        assert max(sizes) <= MOST_IN_A_WRITE


def watch_message_writes(crisp: Crispsync) -> list[int]:
    """How many messages each statement from now on writes."""
    sizes: list[int] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("INSERT INTO messages"):
            # SQLite gets a list of rows, PostgreSQL all of them as one JSON text.
            given = parameters.values() if isinstance(parameters, dict) else [parameters]
            sizes.extend(len(orjson.loads(v) if isinstance(v, str) else v) for v in given)

    event.listen(crisp.db.engine.sync_engine, "before_cursor_execute", note)
    return sizes


async def test_case_055_an_empty_website(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        for kind in ("full", "incremental", "full"):
            assert await crisp.run(kind) == "done"
        await crisp.assert_equals_truth()
        assert (await crisp.last_run()).counts["failed"] == 0


async def test_case_056_fields_that_crisp_adds_are_kept(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        world, site = crisp.world, crisp.world.main
        change_person(world, site, 0, mood={"today": ["good", 1, None]}, person={"shoe": 42})
        set_field(world, site, 1, "weather", {"sky": "blue"})
        send_message(world, site, 1, "Hi", fingerprint=5, tone=0.5)
        assert await crisp.run("full") == "done"
        raw = {row.crisp_people_id: row.crisp_raw for row in await crisp.rows(select(contacts))}
        assert raw[site.people_id(0)]["mood"] == {"today": ["good", 1, None]}
        assert raw[site.people_id(0)]["person"]["shoe"] == 42
        found = select(conversations.c.raw).where(conversations.c.session_id == site.session_id(1))
        assert (await crisp.rows(found))[0].raw["weather"] == {"sky": "blue"}
        message = select(messages.c.raw).where(messages.c.fingerprint == 5)
        assert (await crisp.rows(message))[0].raw["tone"] == 0.5
