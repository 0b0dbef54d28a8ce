"""What becomes of hooks once they stand in the inbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event, select, update

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.crisp.hook_events import TELLERS
from app.records import conversation_id
from app.webhooks import apply, waiting
from app.webhooks.apply import apply_waiting
from app.webhooks.parking import look_at_parked
from app.webhooks.tables import inbox_events
from app.websites.tables import websites
from tests.hooking import activate, hook, hooked, inbox, receive, row_of, sent
from tests.ingesting import PAYLOADS, Json, Site, connected, moment, ms, payload, person, said, talk

SESSION = "session_700c65e1-85e2-465a-b9ac-ecb5ec2c9881"
OTHER = "11111111-2222-4333-8444-555555555555"


# SPEC S4
@pytest.mark.parametrize(
    "name", sorted(p.stem for p in PAYLOADS.glob("hook_*.json") if p.stem != "hook_headers")
)
async def test_every_recorded_payload_has_its_end(sqlite_url: str, name: str) -> None:
    async with connected(sqlite_url) as site:
        body = payload(name)
        body = {**body, "website_id": site.id, "data": {**body["data"], "website_id": site.id}}
        (row,) = await hooked(site, body)
        assert row.state == ("done" if body["event"] in TELLERS else "ignored"), row.error


WANTED = [
    "message:send",
    "message:received",
    "message:updated",
    "message:removed",
    "session:set_state",
    "session:set_email",
    "session:set_phone",
    "session:set_nickname",
    "session:set_subject",
    "session:set_segments",
    "session:set_data",
    "session:set_routing",
    "session:set_participants",
    "session:sync:rating",
    "session:sync:topic",
    "session:removed",
    "people:profile:created",
    "people:profile:updated",
    "people:profile:removed",
    "people:bind:session",
    "plugin:subscription:updated",
]


def test_every_event_of_the_rules_has_a_function_and_a_payload() -> None:  # SPEC S4
    recorded = {payload(p.stem).get("event") for p in PAYLOADS.glob("hook_*.json")}
    assert set(WANTED) <= set(TELLERS)
    assert set(TELLERS) <= recorded


async def test_single_fields_of_a_conversation(database_url: str) -> None:  # SPEC S4, S7
    async with connected(database_url) as site:
        await site.take(talk("s", at=0, meta={"subject": "Old", "email": "old@a.example"}))
        await hooked(
            site,
            hook("session:set_state", 1, session_id="s", state="resolved"),
            hook("session:set_email", 1, session_id="s", email="ann@acme.example"),
            hook("session:set_phone", 1, session_id="s", phone="+33600000000"),
            hook("session:set_nickname", 1, session_id="s", nickname="Ann"),
            hook("session:set_subject", 1, session_id="s", subject=""),
            hook("session:set_routing", 1, session_id="s", routing_id="op-1", previous_routing_id=None),
            hook("session:sync:rating", 1, session_id="s", rating={"stars": 4, "comment": "Good"}),
            hook("session:sync:topic", 1, session_id="s", topic="Refund"),
        )  # fmt: skip
        row = await site.conversation("s")
        assert (row.status, row.email, row.email_norm) == ("resolved", *["ann@acme.example"] * 2)
        assert (row.nickname, row.subject, row.assigned_user_id) == ("Ann", None, "op-1")
        assert (row.rating, row.crisp_updated_at) == (4, moment(1))
        assert row.metadata == {
            "phone": "+33600000000",
            "topic": "Refund",
            "rating_comment": "Good",
        }
        assert row.refresh_due_ms is None  # SPEC S7


async def test_a_hook_links_at_once(database_url: str) -> None:  # SPEC M5
    async with connected(database_url) as site:
        await site.take(person("ann", email="ann@acme.example"), talk("s"))
        assert (await site.conversation("s")).unmatched_reason == "no_identity"
        await hooked(site, hook("session:set_email", 1, session_id="s", email="Ann@Acme.example"))
        assert (await site.conversation("s")).match_rule == "email"
        await hooked(site, hook("people:bind:session", 2, session_id="s", people_id="ann"))
        assert (await site.conversation("s")).match_rule == "people_id"
        await hooked(site, hook("people:profile:removed", 3, people_id="ann"))
        assert (await site.conversation("s")).unmatched_reason == "contact_removed"


@pytest.mark.parametrize("page_at", [0.5, 4])
async def test_case_030_a_page_from_before_the_hook_does_not_undo_it(
    database_url: str, page_at: float
) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", at=0, state="pending", meta={"subject": "first"}))
        await hooked(site, hook("session:set_state", 3, session_id="s", state="resolved"))
        told = talk("s", at=page_at, state="unresolved", meta={"subject": "second"})
        await site.take(told)
        row = await site.conversation("s")
        assert row.status == ("resolved" if page_at < 3 else "unresolved")
        assert row.subject == "second"


SEND = sent("s", 7, "as sent", at=1)
EDIT_1 = hook("message:updated", 2, session_id="s", fingerprint=7, content="edited once")
EDIT_2 = hook("message:updated", 3, session_id="s", fingerprint=7, content="edited twice")
REMOVED = hook("message:removed", 4, session_id="s", fingerprint=7)
MESSAGE_DATA = (
    "direction", "type", "body", "content", "sender_id", "sender_name", "automated", "origin",
    "sent_at", "edited_at", "deleted_at", "complete",
)  # fmt: skip


async def _end_of(site: Site, order: tuple[Json, ...]) -> list[Any]:
    await site.execute(inbox_events.delete())
    await site.execute(conversations.delete())
    for body in order:
        await hooked(site, body)
    row = await site.message("s", 7)
    return [getattr(row, name) for name in MESSAGE_DATA]


# SPEC D4
@pytest.mark.parametrize("removed", [False, True])
async def test_case_003_and_004_a_messages_hooks_in_every_order(
    database_url: str, removed: bool
) -> None:
    news = (SEND, EDIT_1, EDIT_2, *([REMOVED] if removed else []))
    async with connected(database_url) as site:
        ends = [await _end_of(site, order) for order in permutations(news)]
        assert all(end == ends[0] for end in ends)
        found = dict(zip(MESSAGE_DATA, ends[0], strict=True))
        assert (found["body"], found["direction"], found["edited_at"]) == ("edited twice", "inbound", moment(2))  # fmt: skip
        assert found["deleted_at"] == (moment(4) if removed else None)
        assert found["complete"]


async def test_case_003_an_edit_alone_is_kept_and_the_message_asked_for(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"))
        await hooked(site, EDIT_1)
        row = await site.message("s", 7)
        assert (row.body, row.complete, row.direction) == ("edited once", False, "internal")
        assert (await site.conversation("s")).refresh_due_ms is not None
        await hooked(site, sent("s", 7, "as sent", at=1))
        row = await site.message("s", 7)
        assert (row.body, row.complete, row.direction) == ("edited once", True, "inbound")


async def test_case_004_a_removed_message_does_not_come_late(database_url: str) -> None:
    async with connected(database_url) as site:
        await hooked(site, REMOVED)
        await site.take(talk("s"), said("s", 7, "from a page", at=1, seen=9))
        row = await site.message("s", 7)
        assert (row.deleted_at, row.body) == (moment(4), "from a page")
        assert (await site.conversation("s")).message_count == 0


@pytest.mark.parametrize(
    "body",
    [
        SEND,
        EDIT_1,
        REMOVED,
        hook("session:set_state", 1, session_id="s", state="unresolved"),
        hook("people:bind:session", 1, session_id="s", people_id="p"),
        hook("session:request:initiated", 1, session_id="s"),
    ],
    ids=lambda body: body["event"],
)
async def test_case_005_an_unknown_conversation_is_made_and_asked_for(
    database_url: str, body: Json
) -> None:
    async with connected(database_url) as site:
        (row,) = await hooked(site, body)
        assert row.state == "done"
        found = await site.conversation("s")
        assert found.refresh_due_ms is not None
        assert found.crisp_updated_at == moment((body["timestamp"] - ms(0)) / 60_000)
        assert (found.deleted_at, found.messages_due) == (None, True)


async def test_case_006_a_patch_before_the_person_is_known(database_url: str) -> None:
    created = hook("people:profile:created", 1, people_id="p", email="p@acme.example")
    patch = {"updated_at": ms(2), "person": {"nickname": "Pat", "phone": "1"}}
    updated = hook("people:profile:updated", 2, people_id="p", update=patch)
    page = person("p", at=1, seen=1.5, person={"nickname": "Old"}, email="p@acme.example")
    async with connected(database_url) as site:
        ends = []
        news_of_all: list[Any] = [created, updated, page]
        for order in permutations(news_of_all):
            await site.execute(inbox_events.delete())
            await site.execute(contacts.delete())
            for news in order:
                await (hooked(site, news) if isinstance(news, dict) else site.take(news))
            row = await site.contact("p")
            assert row.refresh_due_ms is not None
            ends.append((row.name, row.phone, row.email, row.crisp_fields, row.crisp_raw))
        assert all(end == ends[0] for end in ends)
        assert ends[0][:3] == ("Pat", "1", "p@acme.example")


async def test_removed_people_and_conversations_do_not_come_back(database_url: str) -> None:
    async with connected(database_url) as site:
        await hooked(
            site,
            hook("session:removed", 3, session_id="s"),
            hook("people:profile:removed", 3, people_id="p"),
        )
        await hooked(
            site,
            sent("s", 1, at=2),
            hook("people:profile:updated", 2, people_id="p", update={"person": {"nickname": "P"}}),
        )
        await site.take(talk("s", at=1), person("p", at=1))
        found = await site.conversation("s")
        assert (found.deleted_at, found.refresh_due_ms) == (moment(3), None)
        assert (await site.contact("p")).deleted_at == moment(3)


async def test_case_015_an_old_hook_only_asks(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", state="pending"))
        await activate(site)
        body = hook("session:set_state", 1, session_id="s", state="resolved")
        row = row_of(body, received_at=moment(4 * 24 * 60))
        await receive(site.db, row)
        await apply_waiting(site.db)
        found = await site.conversation("s")
        assert (found.status, found.refresh_due_ms is not None) == ("pending", True)
        assert (await inbox(site.db, [row["id"]]))[0].state == "done"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (hook("session:set_state", state="resolved"), "session_id"),
        (hook("session:set_state", session_id="s", state="exploded"), "state"),
        (hook("session:set_email", session_id="s", email={"a": 1}), "email"),
        (hook("message:send", session_id="s", fingerprint=2**70), "fingerprint"),
        (hook("message:send", session_id="s", fingerprint=1.5), "fingerprint"),
        (hook("message:updated", session_id="s", fingerprint=1), "content"),
        (hook("session:sync:rating", session_id="s", rating={"stars": "five"}), "rating"),
        (hook("people:profile:updated", people_id=["p"]), "people_id"),
        (hook("plugin:subscription:updated", bound="yes"), "bound"),
        ({**hook("session:set_state"), "data": ["s"]}, "no data"),
        ({**hook("session:set_state"), "data": {"website_id": OTHER}}, "another one"),
    ],
    ids=lambda value: None if isinstance(value, str) else value["event"],
)
async def test_case_018_and_020_what_cannot_be_applied_is_a_dead_letter(
    database_url: str, body: Json, reason: str
) -> None:
    good = hook("session:set_state", 1, session_id="good", state="resolved")
    async with connected(database_url) as site:
        dead, done = await hooked(site, body, good)
        assert (dead.state, dead.attempts, done.state) == ("dead", 1, "done")
        assert reason in dead.error
        assert (await site.conversation("good")).status == "resolved"
        assert len(await site.rows(select(conversations))) == 1


async def test_case_057_nul_and_surrogates_in_a_hook(database_url: str) -> None:
    async with connected(database_url) as site:
        raw = b'{"website_id":"%s","event":"message:send","timestamp":%d,"data":{"session_id":"s","fingerprint":1,"type":"text","from":"user","timestamp":%d,"content":"a\\u0000b \\ud83d c"}}' % (site.id.encode(), ms(1), ms(1))  # fmt: skip
        await activate(site)
        row = row_of(raw, moment(2), website_id=site.id, event="message:send", emitted_ms=ms(1))
        await receive(site.db, row)
        await apply_waiting(site.db)
        body = (await site.message("s", 1)).body
        assert (body[0], body[-2:], "\x00" in body) == ("a", " c", False)


async def test_case_060_one_hook_that_the_database_refuses(database_url: str) -> None:
    """A batch that fails as a whole is applied one by one."""
    async with connected(database_url) as site:
        broken = sent("s", 5, at=1, timestamp=253_402_300_799_999_000)
        (row, good) = await hooked(site, broken, sent("s", 6, at=2))
        assert good.state == "done"
        assert row.state in {"done", "dead"}
        assert (await site.message("s", 6)).body == "Hello"


async def test_case_017_unknown_and_unwanted_events_are_ignored(database_url: str) -> None:
    async with connected(database_url) as site:
        rows = await hooked(
            site,
            hook("session:invented:tomorrow", session_id="s"),
            hook("message:compose:send", session_id="s"),
        )
        assert [row.state for row in rows] == ["ignored", "ignored"]
        assert await site.rows(select(conversations)) == []


async def test_case_019_an_unknown_website_waits_a_day(database_url: str) -> None:
    async with connected(database_url) as site:
        now = datetime.now(UTC)
        fresh = row_of(hook("session:set_state", website_id=OTHER, session_id="s", state="pending"), received_at=now)  # fmt: skip
        old = row_of(hook("session:set_state", 1, website_id=OTHER, session_id="s", state="resolved"), received_at=now - timedelta(hours=25))  # fmt: skip
        await receive(site.db, fresh, old)
        await apply_waiting(site.db)
        await look_at_parked(site.db)
        waits, dropped = await inbox(site.db, [fresh["id"], old["id"]])
        assert (waits.state, dropped.state, dropped.body) == ("parked", "ignored", None)
        assert len(await site.rows(select(websites))) == 1
        installed = hook("plugin:subscription:updated", 2, website_id=OTHER, bound=True)
        await receive(site.db, row_of(installed))
        await apply_waiting(site.db)
        await site.execute(update(websites).where(websites.c.id == OTHER).values(status="connected", activated_at=now))  # fmt: skip
        assert await look_at_parked(site.db) == 1
        await apply_waiting(site.db)
        assert (await inbox(site.db, [fresh["id"]]))[0].state == "done"


# SPEC C4, C9
@pytest.mark.parametrize("stands", ["waiting", "paused", "uninstalled", "never imported"])
async def test_hooks_are_kept_until_the_website_takes_them(database_url: str, stands: str) -> None:
    async with connected(database_url) as site:
        status = "connected" if stands == "never imported" else stands
        active = None if stands == "never imported" else moment(0)
        await site.settings(status=status, activated_at=active)
        row = row_of(hook("session:set_state", 1, session_id="s", state="resolved"))
        await receive(site.db, row)
        await apply_waiting(site.db)
        assert await look_at_parked(site.db) == 0
        assert (await inbox(site.db, [row["id"]]))[0].state == "parked"
        assert await site.rows(select(conversations)) == []
        await site.settings(status="connected", activated_at=moment(0))
        assert await look_at_parked(site.db) == 1
        await apply_waiting(site.db)
        assert (await site.conversation("s")).status == "resolved"


async def test_case_050_and_051_installed_and_uninstalled_in_any_order(database_url: str) -> None:
    told = [
        hook("plugin:subscription:updated", 1, website_id=OTHER, bound=True),
        hook("plugin:subscription:updated", 2, website_id=OTHER, bound=False),
        hook("plugin:subscription:updated", 3, website_id=OTHER, bound=True),
    ]
    async with connected(database_url) as site:
        for order in permutations(told):
            await site.execute(inbox_events.delete())
            await site.execute(websites.delete().where(websites.c.id == OTHER))
            for body in order:
                await hooked(site, body)
            (row,) = await site.rows(select(websites).where(websites.c.id == OTHER))
            assert row.status == "waiting"
        await hooked(site, hook("plugin:subscription:updated", 9, bound=False))
        (row,) = await site.rows(select(websites).where(websites.c.id == site.id))
        assert (row.status, row.generation) == ("uninstalled", 1)
        (late,) = await hooked(site, sent("s", 1, at=10))
        assert late.state == "parked"
        await hooked(site, hook("plugin:subscription:updated", 11, bound=True))
        (row,) = await site.rows(select(websites).where(websites.c.id == site.id))
        assert (row.status, row.generation) == ("connected", 2)


async def test_notes_that_are_not_wanted_stay_out(database_url: str) -> None:  # SPEC C6
    async with connected(database_url) as site:
        await site.settings(import_notes=False)
        note = payload("hook_message_received_note")
        (row,) = await hooked(site, note)
        assert row.state == "done"
        assert await site.rows(select(messages)) == []


@pytest.mark.parametrize(
    ("size", "applied", "seconds", "following"),
    [
        (1_000, 1_000, 0.3, 2_000),
        (1_000, 999, 0.3, 1_000),  # no more were there
        (1_000, 1_000, 1.0, 1_000),
        (1_000, 1_000, 1.6, 500),
        (500, 500, 9.0, 500),
        (4_000, 4_000, 0.1, 4_000),
    ],
)
def test_a_batch_is_as_large_as_the_machine_is_quick(
    size: int, applied: int, seconds: float, following: int
) -> None:
    assert apply.next_size(size, applied, seconds) == following


async def test_case_055_large_bodies_are_applied_a_few_at_a_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BATCH_BYTES", 1_000)
    async with connected(database_url) as site:
        await activate(site)
        small = [row_of(sent("s", n, at=n)) for n in range(1, 8)]
        large = row_of(sent("s", 9, "x" * 20_000, at=9))
        await receive(site.db, *small, large)
        batches = []
        while applied := await apply.apply_batch(site.db, site.id):
            batches.append(applied)
        assert len(batches) > 2
        assert batches[-1] == 1  # larger than a whole batch, and applied all the same
        assert sum(batches) == len(small) + 1
        assert {row.state for row in await inbox(site.db, [r["id"] for r in [*small, large]])} == {
            "done"
        }


async def test_case_024_a_busy_website_starves_nobody(database_url: str) -> None:
    """Websites take turns: the one hook of the other is applied in the first round."""
    async with connected(database_url) as site:
        await activate(site)
        await receive(site.db, *(row_of(sent("s", n, at=n / 1000)) for n in range(1_200)))
        quiet = row_of(hook("plugin:subscription:updated", 1, website_id=OTHER, bound=True))
        await receive(site.db, quiet)
        rounds = iter([False, True])
        await apply_waiting(site.db, lambda: next(rounds))
        assert (await inbox(site.db, [quiet["id"]]))[0].state == "done"
        left = await site.rows(select(inbox_events).where(inbox_events.c.state == "new"))
        assert 0 < len(left) < 1_200
        await apply_waiting(site.db)
        assert (await site.conversation("s")).message_count == 1_200


def test_ids_are_those_that_pages_use() -> None:
    assert conversation_id(OTHER, SESSION) != conversation_id(OTHER, "s")


async def test_looking_for_work_reads_no_done_hooks(sqlite_url: str) -> None:
    """Half-second looks must stay cheap at a million hooks: SQLite reads the small partial indexes."""
    async with connected(sqlite_url) as site:
        await hooked(site, sent("s", 1, at=1))
        asked: list[tuple[str, Any]] = []

        def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        event.listen(site.db.engine.sync_engine, "before_cursor_execute", note)
        await receive(site.db, row_of(sent("s", 2, at=2)))
        await apply_waiting(site.db)
        await look_at_parked(site.db)
        await receive(site.db, row_of(sent("s", 3, at=3), website_id=OTHER))
        await apply_waiting(site.db)
        await look_at_parked(site.db)
        event.remove(site.db.engine.sync_engine, "before_cursor_execute", note)
        looks = [(s, p) for s, p in asked if s.startswith("SELECT") and "FROM inbox_events" in s]
        assert len({statement for statement, _ in looks}) >= 3
        async with site.db.read() as connection:
            for statement, parameters in looks:
                plan = await connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {statement}", parameters
                )
                steps = [row.detail for row in plan if "inbox_events" in row.detail]
                assert steps
                cheap = [step for step in steps if "ix_inbox_events_" in step or "(id=?)" in step]
                assert cheap == steps, statement
