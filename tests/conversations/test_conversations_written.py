"""What becomes of a conversation and its messages when Crisp tells of them, again, later, or too late."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, update

from app.conversations.merge import overlay
from app.conversations.progress import write_progress
from app.conversations.store import write_operators
from app.conversations.tables import conversations, messages, operators
from app.db import in_turn
from app.db.changes import change_batches
from app.ingest import ingest
from app.records import (
    Batch,
    ConversationRecord,
    MessageRecord,
    OperatorRecord,
    ThreadProgress,
    conversation_id,
)
from app.websites.rules import rules_of
from tests.ingesting import connected, moment, ms, payload, person, said, talk

OWN = {"id", "session_id", "seen_ms"}


def told(row: Any) -> dict[str, Any]:
    found = {name: value for name, value in row._mapping.items() if name not in OWN}
    return {**found, "raw": {**found["raw"], "session_id": ""}}


# SPEC D2
async def test_a_conversation_is_kept_whole(database_url: str) -> None:
    item = payload("rest_conversation_get")["data"]
    async with connected(database_url) as site:
        async with site.db.write() as connection:
            mira = OperatorRecord(item["assigned"]["user_id"], "Mira", None, None)
            await write_operators(connection, site.id, [mira])
        await site.take(talk(**{**item, "at": 0}))
        row = await site.conversation(item["session_id"])
        assert (row.status, row.subject, row.origin) == (
            "unresolved", "Question about my plan", "chat",
        )  # fmt: skip
        assert row.assigned_to == "Mira"
        assert row.crisp_updated_at.isoformat() == "2022-01-03T10:33:40+00:00"
        assert row.metadata["participants"] == [{"type": "email", "target": "cc@example.com"}]
        assert row.metadata["data"] == {"plan": "pro", "plan_price": 95, "is_trialing": False}
        assert row.raw == item
        assert row.message_count == 0, "conversations without a message are kept too"


# SPEC D2
async def test_a_second_import_does_not_double(database_url: str) -> None:
    async with connected(database_url) as site:
        for seen in (1, 2, 3):
            outcome = await site.take(talk("s", seen=seen), said("s", 1, seen=seen))
            assert outcome.conversations == (1 if seen == 1 else 0)
        assert len(await site.rows(select(conversations.c.id))) == 1
        assert len(await site.rows(select(messages.c.fingerprint))) == 1


# SPEC D3
async def test_a_fingerprint_is_unique_inside_one_conversation_only(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), talk("t"), said("s", 7, "one"), said("t", 7, "two"))
        assert (await site.message("s", 7)).body == "one"
        assert (await site.message("t", 7)).body == "two"


# SPEC D3
async def test_sides_senders_and_automation(database_url: str) -> None:
    mira = {"user_id": "operator-1", "nickname": "Mira"}
    async with connected(database_url) as site:
        await site.take(
            talk("s"),
            said("s", 1, "Hello", user={"user_id": "s", "nickname": "Ann"}),
            said("s", 2, "Hi", sent_by="operator", user=mira),
            said("s", 3, "I am a bot", sent_by="operator", automated=True),
            said("s", 4, "VIP", type="note", sent_by="operator", user=mira),
            said("s", 5, {"namespace": "state:resolved"}, type="event", sent_by="operator"),
            said("s", 6, {"shape": "cube"}, type="hologram"),
        )
        rows = {row.fingerprint: row for row in await site.rows(select(messages))}
        assert [rows[n].direction for n in range(1, 7)] == [
            "inbound", "outbound", "outbound", "internal", "internal", "inbound",
        ]  # fmt: skip
        assert [rows[n].automated for n in range(1, 4)] == [False, False, True]
        assert (rows[1].sender_name, rows[2].sender_name) == ("Ann", "Mira")
        assert rows[6].content == {"shape": "cube"}
        assert (await site.conversation("s")).message_count == 6


async def test_every_message_of_the_api_is_kept_whole(database_url: str) -> None:  # SPEC D3
    items = payload("rest_messages_206")["data"]
    session = items[0]["session_id"]
    async with connected(database_url) as site:
        await site.take(talk(session), *(said(**{**i, "at": 0}) for i in items))
        for item in items:
            row = await site.message(session, item["fingerprint"])
            assert (row.body if row.content is None else row.content) == item["content"]
            assert {**row.raw, "session_id": session} == item


async def test_private_notes_can_be_left_out(database_url: str) -> None:
    """SPEC C6."""
    async with connected(database_url, import_notes=False) as site:
        await site.take(talk("s"), said("s", 1, "hello"), said("s", 2, "VIP", type="note"))
        assert [row.body for row in await site.rows(select(messages))] == ["hello"]
        assert (await site.conversation("s")).message_count == 1


# SPEC D4
async def test_an_edit_replaces_the_body_and_is_marked(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1, "helo", seen=1))
        assert (await site.message("s", 1)).edited_at is None
        await site.take(said("s", 1, "hello", seen=2, edited=True))
        row = await site.message("s", 1)
        assert (row.body, row.edited_at is not None) == ("hello", True)
        await site.take(said("s", 1, "hello!", seen=3, edited=True))
        again = await site.message("s", 1)
        assert (again.body, again.edited_at) == ("hello!", row.edited_at)


# SPEC D4
async def test_a_removed_message_stays_removed(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1), said("s", 2))
        mark = {"deleted_at": moment(1), "removed_observed_ms": ms(1)}
        await site.execute(update(messages).where(messages.c.fingerprint == 1).values(mark))
        await site.take(said("s", 1, "again", seen=9), said("s", 3))
        assert (await site.message("s", 1)).deleted_at == moment(1)
        assert (await site.conversation("s")).message_count == 2


# SPEC D4
async def test_a_removed_conversation_is_a_tombstone_that_only_a_later_direct_answer_revives(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1))
        assert await site.remove_talk("s", seen=5) == 1
        assert await site.remove_talk("s", seen=5) == 0
        row = await site.conversation("s")
        assert (row.deleted_at is not None, row.messages_due) == (True, False)
        await site.take(talk("s", at=9, seen=9))
        await site.take(talk("s", at=9, seen=4, direct=True))
        assert (await site.conversation("s")).deleted_at is not None
        await site.take(talk("s", at=9, seen=10, direct=True))
        row = await site.conversation("s")
        assert (row.deleted_at, row.messages_due, row.message_count) == (None, True, 1)


# SPEC D4
async def test_case_031_a_list_page_never_revives_whatever_the_order(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", at=1, seen=5))
        await site.take(talk("s", at=1, seen=8))
        assert await site.remove_talk("s", seen=6) == 1
        await site.take(talk("s", at=2, seen=10))
        assert (await site.conversation("s")).deleted_at == moment(6)
        await site.take(talk("s", at=2, seen=5, direct=True))
        assert (await site.conversation("s")).deleted_at is not None
        await site.take(talk("s", at=2, seen=7, direct=True))
        assert (await site.conversation("s")).deleted_at is None
        assert await site.remove_talk("s", seen=6) == 0
        assert await site.remove_talk("s", seen=9) == 1


# SPEC D4
async def test_case_031_removed_before_it_was_ever_met(database_url: str) -> None:
    async with connected(database_url) as site:
        assert await site.remove_talk("s", seen=6) == 0
        await site.take(talk("s", at=1, seen=5, subject="late"))
        row = await site.conversation("s")
        assert (row.deleted_at, row.messages_due) == (moment(6), False)
        assert await site.remove_person("p", seen=6) == 0
        await site.take(person("p", at=1, seen=5))
        assert (await site.contact("p")).deleted_at == moment(6)


# SPEC D5
async def test_absence_never_overwrites_and_emptying_does(database_url: str) -> None:
    async with connected(database_url) as site:
        meta = {"subject": "Refund", "email": "ann@a.example", "phone": "1", "data": {"a": 1}}
        await site.take(talk("s", meta=meta, people_id="p", assigned={"user_id": "o"}))
        await site.take(talk("s", at=1, meta={"nickname": "Ann"}))
        row = await site.conversation("s")
        assert (row.subject, row.email, row.people_id) == ("Refund", "ann@a.example", "p")
        assert (row.assigned_to, row.nickname) == ("o", "Ann")
        assert row.metadata == {"phone": "1", "data": {"a": 1}}
        assert row.raw["meta"] == {**meta, "nickname": "Ann"}
        empty = {"subject": "", "email": None, "phone": "", "data": {"b": 2}}
        await site.take(talk("s", at=2, meta=empty, assigned=None, people_id=None))
        row = await site.conversation("s")
        assert (row.subject, row.email, row.email_norm, row.people_id) == (None, None, None, None)
        assert row.assigned_to is None
        assert row.metadata == {"data": {"b": 2}}, "session data is told whole"


@pytest.mark.parametrize("odd", [5, True, [], {}])
async def test_a_field_of_another_type_overwrites_nothing(sqlite_url: str, odd: Any) -> None:
    """SPEC D5: it is neither told nor emptied."""
    async with connected(sqlite_url) as site:
        meta = {"subject": "Refund", "email": "ann@a.example", "phone": "1"}
        await site.take(talk("s", meta=meta, people_id="p", state="resolved", topic="Money"))
        await site.take(
            talk("s", at=1, meta=dict.fromkeys(meta, odd), people_id=odd, state=odd, topic=odd)
        )
        row = await site.conversation("s")
        assert (row.subject, row.email, row.people_id) == ("Refund", "ann@a.example", "p")
        assert row.status == "resolved"
        assert row.metadata == {"phone": "1", "topic": "Money"}
        assert row.raw["meta"]["subject"] == odd


def test_raw_json_is_laid_over_what_was_there() -> None:  # SPEC D5
    old = {"a": 1, "meta": {"b": 2, "c": 3}}
    assert overlay(old, {"meta": {"c": 4}, "d": 5}) == {"a": 1, "meta": {"b": 2, "c": 4}, "d": 5}
    assert overlay(old, {"meta": None}) == {"a": 1, "meta": None}


async def test_case_049_older_news_of_a_conversation_changes_nothing(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", at=5, state="resolved"))
        outcome = await site.take(talk("s", at=4, seen=9, state="pending"))
        assert outcome.conversations == 0
        await site.take(talk("s", at=5, seen=20, state="resolved"))
        await site.take(talk("s", at=5, seen=15, state="pending"))
        assert (await site.conversation("s")).status == "resolved"


async def test_case_049_a_cached_message_does_not_undo_an_edit(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1, "before", seen=1))
        await site.take(said("s", 1, "after", seen=3, edited=True))
        await site.take(said("s", 1, "before", seen=2))
        row = await site.message("s", 1)
        assert (row.body, row.edited_at is not None) == ("after", True)


def _version(at: float, seen: float, name: str, **fields: Any) -> ConversationRecord:
    meta = {"email": f"{name}@a.example", "subject": name, "data": {"n": name}, "phone": ""}
    return talk(
        "s", at=at, seen=seen, meta=meta, people_id=name, topic=name, last_message=name, **fields
    )


VERSIONS = [
    _version(1, 9, "first", state="resolved", assigned={"user_id": "o"}),
    _version(2, 5, "second", state="pending", assigned=None),
    _version(2, 6, "third", state="unresolved", assigned={"user_id": "q"}),
    _version(3, 3, "fourth", state="pending", assigned=None),
]


def as_of(record: ConversationRecord, session_id: str) -> ConversationRecord:
    return replace(record, session_id=session_id)


async def test_all_orders_of_the_same_news_end_in_the_same_row(database_url: str) -> None:
    async with connected(database_url) as site:
        orders = {f"order-{n}": order for n, order in enumerate(permutations(VERSIONS))}
        for turn in range(len(VERSIONS)):
            await site.take(*(as_of(order[turn], name) for name, order in orders.items()))
        ends = [told(await site.conversation(name)) for name in orders]
        assert all(end == ends[0] for end in ends)
        assert ends[0]["subject"] == "fourth"


async def test_all_orders_of_a_messages_versions_end_in_the_same_row(database_url: str) -> None:
    versions: list[MessageRecord] = [
        said("s", 1, "one", at=1, seen=4), said("s", 1, "two", at=1, seen=5),
        said("s", 1, {"text": "three"}, at=1, seen=6, type="picker"),
        said("s", 1, "four", at=2, seen=1),
    ]  # fmt: skip
    async with connected(database_url) as site:
        orders = {f"order-{n}": order for n, order in enumerate(permutations(versions))}
        await site.take(*(talk(name) for name in orders))
        for turn in range(len(versions)):
            await site.take(*(replace(o[turn], session_id=name) for name, o in orders.items()))
        ends = [(await site.message(name, 1))._mapping for name in orders]
        ends = [{k: v for k, v in end.items() if k != "conversation_id"} for end in ends]
        assert all(end == ends[0] for end in ends)
        assert ends[0]["body"] == "three"


async def test_case_029_the_same_rows_twice_in_a_batch(database_url: str) -> None:
    async with connected(database_url) as site:
        outcome = await site.take(
            *VERSIONS, *reversed(VERSIONS), said("s", 1, "old", seen=1), said("s", 1, "new", seen=2),
            said("s", 1, "older", seen=0),
        )  # fmt: skip
        assert outcome.rejected == []
        assert (await site.conversation("s")).subject == "fourth"
        assert (await site.message("s", 1)).body == "new"


async def test_a_message_of_a_conversation_nobody_knows_is_reported(database_url: str) -> None:
    async with connected(database_url) as site:
        outcome = await site.take(talk("s"), said("s", 1), said("unknown", 2))
        assert [r.external_id for r in outcome.rejected] == ["unknown/2"]
        assert (await site.conversation("s")).message_count == 1


async def test_a_renamed_operator_is_renamed_on_conversations(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", assigned={"user_id": "o"}), talk("t"))
        for name in ("Mira", "Mira Stone"):
            async with site.db.write() as connection:
                await write_operators(
                    connection, site.id, [OperatorRecord("o", name, None, "owner")]
                )
            assert (await site.conversation("s")).assigned_to == name
        assert (await site.conversation("t")).assigned_to is None
        assert len(await site.rows(select(operators))) == 1


async def _progress(site: Any, *threads: ThreadProgress) -> None:
    async with site.db.write() as connection:
        await write_progress(connection, site.id, threads)


async def test_a_thread_is_due_until_it_was_read_for_the_state_that_the_list_tells(
    database_url: str,
) -> None:
    preview: dict[str, Any] = {"preview_message": {"fingerprint": 1}}
    async with connected(database_url) as site:
        await site.take(talk("s", at=1, **preview))
        assert (await site.conversation("s")).messages_due
        await _progress(site, ThreadProgress("s", ms(1), 1, ms(-9)))
        row = await site.conversation("s")
        assert (row.messages_due, row.messages_complete, row.messages_back_to_ms) == (
            True, False, ms(-9),
        )  # fmt: skip
        await _progress(site, ThreadProgress("s", ms(1), 1, None))
        assert not (await site.conversation("s")).messages_due
        await site.take(talk("s", at=1, seen=2, **preview))
        assert not (await site.conversation("s")).messages_due
        # The same update time with another last message: somebody wrote in the same millisecond.
        await site.take(talk("s", at=1, seen=3, preview_message={"fingerprint": 2}))
        assert (await site.conversation("s")).messages_due


async def test_whatever_is_known_of_threads_is_asked_before_they_are_written(
    database_url: str,
) -> None:
    """On PostgreSQL an answer would wait for the messages to be written, and the next requests with it."""
    async with connected(database_url) as site:
        await site.take(talk("s", at=1), talk("empty", at=1))
        batch = Batch(
            site.id,
            messages=[said("s", 1)],
            threads=[
                ThreadProgress("s", ms(1), None, None, asked_ms=ms(2), shown=1),
                ThreadProgress("empty", ms(1), None, None, asked_ms=ms(2), shown=0),
            ],
        )
        assert await _asked_behind_writes(site, batch) == []
        empty = await site.conversation("empty")
        assert (empty.messages_due, empty.messages_complete, empty.message_count) == (
            False,
            True,
            0,
        )
        assert (await site.conversation("s")).message_count == 1
        told = await site.rows(
            select(change_batches.c.ids).where(change_batches.c.kind == "conversation")
            .order_by(change_batches.c.number.desc()).limit(1)
        )  # fmt: skip
        assert told[0].ids == [conversation_id(site.id, "s")], "nobody sees that one was read"
        (what_changed,) = await _asked_behind_writes(site, batch)
        assert "FROM messages" in what_changed, "nobody waits for it"


async def _asked_behind_writes(site: Any, batch: Batch) -> list[str]:
    """What is asked when something of `batch` was written already."""
    asked: list[str] = []
    written = False

    def note(*told: Any) -> None:
        nonlocal written
        if not told[2].startswith("SELECT"):
            written = True
        elif written:
            asked.append(told[2])

    engine = site.db.engine.sync_engine
    async with site.db.write() as connection:
        rules = await rules_of(connection, site.id)
        event.listen(engine, "before_cursor_execute", note)
        await ingest(connection, rules, batch)
        event.remove(engine, "before_cursor_execute", note)
    return asked


async def test_nothing_of_what_is_new_is_heard_of_before_the_commit(
    migrated_postgres_url: str,
) -> None:
    """So the commit goes with it, and is all that is waited for."""
    async with connected(migrated_postgres_url) as site:
        await site.take(person("p", email="ann@acme.example"))
        await site.take(talk("old", at=1))
        batch = Batch(
            site.id,
            conversations=[talk("new", at=2, people_id="p")],
            messages=[said("old", 1)],
            threads=[ThreadProgress("old", ms(1), None, None, asked_ms=ms(2), shown=1)],
        )
        async with site.db.write() as connection:
            await ingest(connection, await rules_of(connection, site.id), batch)
            waiting = await connection.run_sync(in_turn._unheard)
            assert waiting
            assert [one.sql for one in waiting if one.one.hear] == []
        assert (await site.conversation("new")).contact_id is not None


async def test_of_several_parts_in_one_write_the_last_tells_how_far_reading_came(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", at=1))
        back = [ThreadProgress("s", ms(1), None, ms(-n)) for n in range(1, 12)]
        await _progress(site, *back)
        assert (await site.conversation("s")).messages_back_to_ms == ms(-11)
        await _progress(site, *back, ThreadProgress("s", ms(1), None, None))
        row = await site.conversation("s")
        assert (row.messages_complete, row.messages_due) == (True, False)


async def test_a_conversation_that_moved_while_it_was_read_stays_due(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", at=1))
        await site.take(talk("s", at=2))
        await _progress(site, ThreadProgress("s", ms(1), None, None))
        assert (await site.conversation("s")).messages_due


async def test_a_thread_of_which_more_was_told_while_it_was_first_read_is_read_again(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(talk("s", at=1), said("s", 1), said("s", 2))
        await _progress(site, ThreadProgress("s", ms(1), None, None, shown=1))
        row = await site.conversation("s")
        assert (row.messages_complete, row.messages_due) == (False, True)
        await _progress(site, ThreadProgress("s", ms(1), None, None, shown=2))
        row = await site.conversation("s")
        assert (row.messages_complete, row.messages_due) == (True, False)


async def test_counts_of_a_thousand_conversations_at_once(database_url: str) -> None:
    """More than one statement may hold; each count is right."""
    names = [f"s{n}" for n in range(1_001)]
    async with connected(database_url) as site:
        await site.take(*(talk(name) for name in names))
        await site.take(*(said(n, f) for i, n in enumerate(names) for f in range(i % 3 + 1)))
        found = await site.rows(
            select(conversations.c.message_count, func.count()).group_by(
                conversations.c.message_count
            )
        )
        assert dict(map(tuple, found)) == {1: 334, 2: 334, 3: 333}


async def test_a_row_of_another_website_is_not_counted(database_url: str) -> None:  # SPEC C1
    from app.websites.connect import Installed, save_connected

    other = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"
    async with connected(database_url) as site:
        await save_connected(site.db, Installed(other, "Other", None))
        await site.take(talk("s"), said("s", 1))
        stored = (await site.message("s", 1))._mapping
        mine = (await site.conversation("s"))._mapping
        await site.execute(insert(conversations).values({**mine, "website_id": other}))
        await site.execute(insert(messages).values({**stored, "website_id": other}))
        await site.take(said("s", 2))
        rows = await site.rows(select(conversations.c.website_id, conversations.c.message_count))
        assert dict(map(tuple, rows)) == {site.id: 2, other: 1}
        assert conversation_id(other, "s") != conversation_id(site.id, "s")
