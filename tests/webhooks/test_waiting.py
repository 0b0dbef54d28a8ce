"""What waits in the inbox is read once, also ahead of its turn; whether it waits is asked at its turn."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from app.conversations.tables import messages
from app.webhooks import apply
from app.webhooks.apply import apply_batch, apply_waiting
from app.webhooks.tables import inbox_events
from app.webhooks.waiting import read_ahead
from tests.hooking import activate, inbox, receive, row_of, sent
from tests.ingesting import Json, Site, connected


async def _received(site: Site, number: int) -> list[Json]:
    await activate(site)
    rows = [row_of(sent("s", n, f"Message {n}", at=n)) for n in range(1, number + 1)]
    await receive(site.db, *rows)
    return rows


async def _bodies(site: Site) -> list[str]:
    rows = await site.rows(select(messages.c.body).order_by(messages.c.fingerprint))
    return [row.body for row in rows]


async def test_what_was_read_ahead_is_not_read_again(database_url: str) -> None:
    async with connected(database_url) as site:
        rows = await _received(site, 9)
        ahead = await read_ahead(site.db, site.id, 4, 3)
        assert set(ahead) == {row["id"] for row in rows[3:7]}
        assert await apply_batch(site.db, site.id, 3, ahead) == 3
        assert await apply_batch(site.db, site.id, 10, ahead) == 6
        assert await _bodies(site) == [f"Message {n}" for n in range(1, 10)]


async def test_what_was_dealt_with_since_is_not_applied(database_url: str) -> None:
    """As an erasure does it, whose lock the reader ahead does not hold."""
    async with connected(database_url) as site:
        first, second = await _received(site, 2)
        ahead = await read_ahead(site.db, site.id, 10, 0)
        await site.execute(
            update(inbox_events)
            .where(inbox_events.c.id == second["id"])
            .values(state="ignored", body=None)
        )
        assert await apply_batch(site.db, site.id, 10, ahead) == 1
        assert await _bodies(site) == ["Message 1"]
        assert [row.state for row in await inbox(site.db, [first["id"], second["id"]])] == [
            "done",
            "ignored",
        ]


async def test_a_long_inbox_is_applied_whole_with_its_dead_letters(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many batches, each read while the one before it is written."""
    for name in ("FIRST", "FEWEST", "MOST"):
        monkeypatch.setattr(apply, name, 4)
    async with connected(database_url) as site:
        await _received(site, 30)
        broken = row_of(sent("s", "no number", at=7.5))  # type: ignore[arg-type]  # on purpose
        await receive(site.db, broken)
        assert await apply_waiting(site.db) == 31
        assert len(await _bodies(site)) == 30
        states = await site.rows(select(inbox_events.c.state).distinct())
        assert sorted(row.state for row in states) == ["dead", "done"]
        (row,) = await inbox(site.db, [broken["id"]])
        assert row.error == "It cannot be applied: its fingerprint is no 64-bit number."


async def test_a_reader_ahead_that_fails_takes_no_batch_with_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST", "FEWEST", "MOST"):
        monkeypatch.setattr(apply, name, 4)

    async def fails(*_given: object) -> None:
        raise OSError("gone")

    async with connected(database_url) as site:
        await _received(site, 12)
        with monkeypatch.context() as patched:
            patched.setattr(apply, "read_ahead", fails)
            if site.db.is_sqlite:
                assert await apply_waiting(site.db) == 12
            else:
                with pytest.raises(OSError, match="gone"):
                    await apply_waiting(site.db)
                assert len(await _bodies(site)) == 8
        await apply_waiting(site.db)
        assert len(await _bodies(site)) == 12
