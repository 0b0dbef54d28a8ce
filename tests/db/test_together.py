"""Several questions in one statement are answered as each by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import event, func, insert, select

from app.contacts.tables import contacts
from app.conversations.tables import messages
from app.db.session import open_database
from app.db.together import ask_together
from app.webhooks.tables import inbox_events
from tests.pages import rows

WHEN = datetime(2026, 3, 1, 10, 2, 3, 456_000, tzinfo=UTC)
TEXT = 'a "quoted" line,\nمرحبا \\ 🙂 <b>'


@pytest.mark.asyncio
async def test_together_as_each_by_itself(database_url: str) -> None:
    db = open_database(database_url)
    people = [
        rows.contact(f"c{n}", name=f"{TEXT} {n}", email=None, last_active_at=WHEN if n % 2 else None,
                     attributes={"deep": [TEXT, {"n": n, "none": None}]}, segments=[TEXT])
        for n in range(30)
    ]  # fmt: skip
    said = [rows.message("talk", (1 << 62) + n, automated=n % 2 == 0) for n in range(4)]
    await rows.put(db, [rows.website(), *people, rows.conversation("talk"), *said])
    c, m = contacts.c, messages.c
    questions = (
        select(c.id, c.name, c.email, c.attributes, c.segments, c.last_active_at)
        .order_by(c.last_active_at.is_(None), c.id.desc())
        .limit(25),
        select(m.fingerprint, m.automated, m.sent_at).order_by(m.fingerprint.desc()),
        select(
            func.count().label("count"),
            func.max(c.last_active_at, type_=c.last_active_at.type).label("latest"),
        ).select_from(contacts),
        select(c.id).where(c.id == "nobody"),
    )
    sent: list[str] = []
    async with db.read() as connection:
        event.listen(
            db.engine.sync_engine, "before_cursor_execute", lambda *told: sent.append(told[2])
        )
        together = await ask_together(connection, *questions)
        assert len(sent) == 1
        for question, found in zip(questions, together, strict=True):
            alone = (await connection.execute(question)).all()
            assert [tuple(row) for row in found] == [tuple(row) for row in alone]
            assert [row._fields for row in found] == [row._fields for row in alone]
        with pytest.raises(TypeError):
            await ask_together(connection, select(inbox_events.c.body))
        await connection.execute(select(1))
    assert not together[3]
    assert together[2][0].latest == WHEN
    await db.close()


@pytest.mark.asyncio
async def test_rows_with_a_list_among_several(database_url: str) -> None:
    """No row at all, and the order within an aggregate of many rows."""
    db = open_database(database_url)
    async with db.write() as connection:
        await connection.execute(insert(rows.website()[0]), [rows.website()[1]])
    people = [rows.contact(f"p{n:04}", name=str(n * 7919 % 1000)) for n in range(1000)]
    await rows.put(db, people)
    c = contacts.c
    async with db.read() as connection:
        (found,) = await ask_together(connection, select(c.name).order_by(c.name))
    assert [row.name for row in found] == sorted(str(n) for n in range(1000))
    await db.close()
