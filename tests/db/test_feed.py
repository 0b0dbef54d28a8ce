"""The change feed loses nothing and doubles nothing, whoever commits when (SPEC V7, FAILURES case 77).

CHANGES=100000 runs the proof at its full size; the suite takes a smaller one.
"""

import asyncio
import os
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from app import clock
from app.db.changes import MOST_IN_A_BATCH, change_batches, note_changes
from app.db.feed import (
    ChangesDropped,
    Place,
    drop_changes,
    newest_places,
    read_changes,
)
from app.db.session import Database, open_database
from app.websites.connect import forget_website
from tests.ingesting import connected, person, said, talk

CHANGES = int(os.environ.get("CHANGES", "4000"))
WRITERS, WEBSITES = 8, ("site-a", "site-b", "site-c")


class Reader:
    """Polls all the while, as another program would."""

    def __init__(self, db: Database, websites: tuple[str, ...] = WEBSITES) -> None:
        self.db, self.websites = db, websites
        self.places: dict[str, Place] = {}
        self.found: list[tuple[str, str]] = []
        self.turn = ""

    async def poll(self, limit: int = 100) -> bool:
        async with self.db.read() as connection:
            read = await read_changes(connection, self.websites, self.places, limit, turn=self.turn)
        assert len(read.changes) <= limit
        self.places = read.places
        self.found += [(change.website_id, str(change.key)) for change in read.changes]
        self.turn = read.changes[-1].website_id if read.changes else ""
        return read.more

    async def until(self, done: asyncio.Event) -> None:
        while not done.is_set():
            await self.poll()
            await asyncio.sleep(0)
        while await self.poll(1000):
            pass


async def write(db: Database, writer: int, transactions: int, each: int) -> None:
    """Transactions of one writer, on all websites in turn; some are rolled back, some end late."""
    for n in range(transactions):
        website_id = WEBSITES[(writer + n) % len(WEBSITES)]
        keys = [f"{writer:02}-{n:06}-{k:03}" for k in range(each)]
        async with db.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            note_changes(connection, "contact", website_id, keys)
            if n % 5 == 0:
                await asyncio.sleep(0.002)  # others commit meanwhile
            if n % 7 == 3:
                await connection.rollback()
                await connection.execute(text("SELECT 1"))
                note_changes(connection, "contact", website_id, keys)
            await connection.commit()


async def test_case_077_nothing_is_lost_or_doubled_under_eight_writers(database_url: str) -> None:
    db = open_database(database_url, pool_size=WRITERS + 1)
    each = 10
    transactions = max(1, CHANGES // WRITERS // each)
    reader, done = Reader(db), asyncio.Event()
    reading = asyncio.create_task(reader.until(done))
    async with asyncio.TaskGroup() as tasks:
        for writer in range(WRITERS):
            tasks.create_task(write(db, writer, transactions, each))
    done.set()
    await reading
    async with db.read() as connection:
        numbers = (
            await connection.execute(
                select(func.max(change_batches.c.number) - func.min(change_batches.c.number) + 1)
                .add_columns(func.count())
                .group_by(change_batches.c.website_id)
            )
        ).all()
    await db.close()
    assert len(reader.found) == WRITERS * transactions * each
    assert max(Counter(reader.found).values()) == 1
    assert all(span == count for span, count in numbers), "numbers without gaps"
    for writer in range(WRITERS):
        for website_id in WEBSITES:
            mine = [k for w, k in reader.found if w == website_id and k.startswith(f"{writer:02}")]
            assert mine == sorted(mine), "what one writer did first is told first"


async def test_case_077_a_late_commit_is_not_skipped(migrated_postgres_url: str) -> None:
    """Whoever takes a number holds it until its commit; a reader never sees a later one before."""
    db = open_database(migrated_postgres_url)
    reader = Reader(db)
    async with db.engine.connect() as late:
        await late.execute(text("SELECT 1"))
        note_changes(late, "contact", "site-a", ["late"])
        # The number is taken in the moment of the commit: hold that moment open.
        await late.execute(
            text("INSERT INTO change_counters (website_id, last, dropped) VALUES ('site-a', 7, 7)")
        )
        other = asyncio.create_task(one_more(db))
        for _ in range(5):
            await reader.poll()
            await asyncio.sleep(0.02)
        assert reader.found == []
        assert not other.done()
        await late.commit()
    await other
    await reader.poll()
    await db.close()
    assert [key for _, key in reader.found] == ["late", "soon"]


async def one_more(db: Database) -> None:
    async with db.write() as connection:
        note_changes(connection, "contact", "site-a", ["soon"])


async def test_pages_of_any_size_tell_the_same(database_url: str) -> None:
    db = open_database(database_url)
    for website_id, count in (("site-a", MOST_IN_A_BATCH * 2 + 7), ("site-b", 3)):
        async with db.write() as connection:
            note_changes(connection, "link", website_id, (str(n) for n in range(count)))
            messages = ((f"c{n % 3}", n) for n in range(9))
            note_changes(connection, "message", website_id, messages)
    told = []
    for limit in (1, 7, 100, 5000):
        reader = Reader(db)
        while await reader.poll(limit):
            pass
        told.append(sorted(reader.found))
        first = [key for website_id, key in reader.found if website_id == "site-a"]
        assert first[0] == "0"
        assert len(first) == MOST_IN_A_BATCH * 2 + 7 + 9
    await db.close()
    assert all(one == told[0] for one in told)


async def test_a_busy_website_does_not_keep_another_waiting(database_url: str) -> None:
    db = open_database(database_url)
    for website_id, count in (("site-a", 5000), ("site-c", 2)):
        async with db.write() as connection:
            note_changes(connection, "link", website_id, (str(n) for n in range(count)))
    reader = Reader(db)
    await reader.poll(10)
    await db.close()
    assert {website_id for website_id, _ in reader.found} == {"site-a", "site-c"}


async def test_what_was_dropped_is_said(database_url: str) -> None:
    db = open_database(database_url)
    for key in "abc":
        async with db.write() as connection:
            note_changes(connection, "link", "site-a", [key])
    early, late = Reader(db), Reader(db)
    await early.poll(1)
    while await late.poll():
        pass
    async with db.write() as connection:
        assert await drop_changes(connection, clock.now() + timedelta(minutes=1)) == 3
    assert await late.poll() is False
    with pytest.raises(ChangesDropped, match="since=now"):
        await early.poll()
    newcomer = Reader(db)
    assert await newcomer.poll() is False
    async with db.read() as connection:
        assert await newest_places(connection, ["site-a"]) == late.places
    await db.close()


async def test_erased_and_connected_again_is_another_feed(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann"), talk("t1", people_id="ann"), said("t1", 1))
        reader = Reader(site.db, (site.id,))
        await reader.poll()
        await forget_website(site.db, site.id)
        await reader.poll()
    async with connected(database_url) as site:
        await site.take(person("ann"))
        old = Reader(site.db, (site.id,))
        old.places = {site.id: Place(1)}
        with pytest.raises(ChangesDropped):
            await old.poll()
