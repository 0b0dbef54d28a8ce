"""Full-text search follows whatever is written, on both databases (SPEC V4, FAILURES 57, 59)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, select, text, update

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.db.json_texts import has_text
from app.db.session import Database, open_database
from app.db.words import FIRST_CHARACTERS, forget_words, has_words, words_of
from tests.pages import rows
from tests.pages.rows import put

pytestmark = pytest.mark.asyncio

TEXTS = {
    1: "The order 4471 was charged twice, see https://shop.example/refunds/4471?x=1",
    2: "Прелестно: straße, Ärger und señor",
    3: "write to ann.other+tag@acme-corp.example",
    4: '=HYPERLINK("x") \'quoted\' "double" * AND OR NOT NEAR(a b) ^caret -minus',
    5: "",
}


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    told = [rows.message("talk", key, body) for key, body in TEXTS.items()]
    await put(opened, [rows.website(), rows.conversation("talk", subject="Großer Ärger"), *told])
    yield opened
    await opened.close()


async def found(db: Database, q: str) -> list[int]:
    words = words_of(q)
    async with db.read() as connection:
        query = select(messages.c.fingerprint).where(has_words("messages", words))
        return sorted(row.fingerprint for row in await connection.execute(query))


async def test_words_are_found_by_how_they_begin(db: Database) -> None:
    for q, wanted in (
        ("order 4471", [1]), ("refun", [1]), ("CHARGED", [1]), ("harged", []), ("shop.example", [1]),
        ("ärger", [2]), ("straße", [2]), ("прел", [2]), ("ann.other+tag@acme-corp.example", [3]),
        ("acme", [3]), ("other tag", [3]), ("order acme", []), ("to", [3]), ("t", []),
    ):  # fmt: skip
        assert await found(db, q) == wanted, q


@pytest.mark.parametrize(
    "q",
    ['"', "'", "*", "NEAR(a b)", "-minus", "^caret", "a:b", "(", "\\", "%", "&|!<->", "🙂", "\x00"],
)
async def test_what_is_typed_is_never_a_query_language(db: Database, q: str) -> None:
    if words_of(q):
        assert await found(db, q) in ([], [4])


async def test_edits_and_deletions_reach_the_index(db: Database) -> None:
    own = messages.c.fingerprint == 1
    async with db.write() as connection:
        await connection.execute(update(messages).where(own).values(body="A parcel arrived"))
    assert await found(db, "parcel") == [1]
    assert await found(db, "charged") == []
    async with db.write() as connection:
        await connection.execute(update(messages).where(own).values(body="Twice in"))
        await connection.execute(update(messages).where(own).values(body="one transaction"))
        await connection.execute(delete(messages).where(messages.c.fingerprint == 3))
    assert await found(db, "transaction") == [1]
    assert [await found(db, q) for q in ("twice", "parcel", "acme")] == [[], [], []]


async def test_case_059_only_the_beginning_of_a_huge_message_counts(db: Database) -> None:
    words = " ".join(f"w{n}" for n in range(300_000))
    kept, lost = f"w{FIRST_CHARACTERS // 8}", "w299999"
    await put(db, [rows.message("talk", 9, words)])
    assert await found(db, kept) == [9]
    assert await found(db, lost) == []
    async with db.write() as connection:
        await connection.execute(delete(messages).where(messages.c.fingerprint == 9))
    assert await found(db, kept) == []


async def test_conversations_contacts_and_segments(db: Database) -> None:
    odd = 'He said "é" & \\ %'
    await put(db, [rows.contact("ann", name="Ann Ärger", segments=["vip", odd])])
    async with db.write() as connection:
        await connection.execute(update(conversations).values(metadata={"segments": [odd]}))
    checks: list[tuple[Any, Any, int]] = [
        (conversations, has_words("conversations", ["grosser"]), 1),
        (contacts, has_words("contacts", ["ärg"]), 1),
        (contacts, has_text(contacts.c.segments, odd), 1),
        (contacts, has_text(contacts.c.segments, "vi"), 0),
        (conversations, has_text(conversations.c.metadata, odd, "segments"), 1),
        (conversations, has_text(conversations.c.metadata, odd, "others"), 0),
    ]
    async with db.read() as connection:
        for table, condition, wanted in checks:
            rows_found = (await connection.execute(select(table.c.id).where(condition))).all()
            assert len(rows_found) == wanted, condition


async def test_vacuum_keeps_the_index_and_erasure_rewrites_it(db: Database) -> None:
    async with db.write() as connection:
        await connection.execute(delete(messages).where(messages.c.fingerprint == 1))
        await forget_words(connection)
    if not db.is_sqlite:
        return
    async with db.engine.connect() as connection:
        await connection.execution_options(read_only=True)
        await connection.exec_driver_sql("COMMIT")  # VACUUM stands outside of transactions
        await connection.exec_driver_sql("VACUUM")
        await connection.exec_driver_sql("BEGIN")
        blocks = await connection.execute(text("SELECT block FROM messages_words_data"))
        assert not any(b"charged" in row.block for row in blocks)
        checked = "INSERT INTO messages_words (messages_words, rank) VALUES ('integrity-check', 1)"
        await connection.exec_driver_sql(checked)
    assert await found(db, "acme") == [3]
