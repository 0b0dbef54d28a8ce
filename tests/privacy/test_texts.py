"""Text of messages that was kept for long enough is dropped, and does not come back (SPEC P8)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from app.conversations.drift import message_drift
from app.conversations.expiry import find_old_threads
from app.conversations.tables import conversations, messages
from app.db.feed import newest_places, read_changes
from app.privacy.retention import purge
from app.records import conversation_id
from app.settings import Settings
from app.websites.tables import websites
from tests.hooking import hook, hooked, sent
from tests.ingesting import Site, connected, moment, said, talk

SETTINGS = Settings(raw_hook_days=0, upload_days=0)
MARK = "zqx-long-ago"
DAY = 24 * 60
"""As the builders of records count: minutes."""


async def keep_for(site: Site, days: int | None) -> None:
    await site.execute(update(websites).values(message_days=days))


def at_day(monkeypatch: pytest.MonkeyPatch, day: float) -> None:
    monkeypatch.setattr("app.clock.now", lambda: moment(day * DAY))


async def everything(site: Site) -> str:
    rows: list[Any] = []
    for table in (messages, conversations):
        rows += await site.rows(select(table))
    return repr(rows)


async def test_old_text_goes_and_who_wrote_when_stays(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_day(monkeypatch, 0)
    async with connected(database_url) as site:
        await site.take(
            talk("s", at=20 * DAY, last_message="lately", created_at=None),
            talk("old", last_message=MARK),
            said("s", 1, MARK), said("s", 2, {"name": MARK, "url": "https://x.example/a", "type": "a/b"},
                                     at=1, type="file"),
            said("s", 3, "lately", at=20 * DAY), said("old", 4, MARK),
            said("s", 5, {"namespace": "state:resolved"}, at=2, type="event"),
        )  # fmt: skip
        assert MARK in await everything(site)
        at_day(monkeypatch, 29)
        assert await purge(site.db, SETTINGS) == {}
        await keep_for(site, 30)
        assert await purge(site.db, SETTINGS) == {"texts of messages": 0}
        assert MARK in await everything(site)

        at_day(monkeypatch, 31)
        assert await purge(site.db, SETTINGS) == {"texts of messages": 3}
        assert MARK not in await everything(site)
        first = await site.message("s", 1)
        assert (first.body, first.text_dropped_at) == ("", moment(31 * DAY))
        assert (first.direction, first.sent_at, first.complete) == ("inbound", moment(0), True)
        assert (await site.message("s", 3)).body == "lately"
        assert "resolved" in str((await site.message("s", 5)).content)
        talked = await site.conversation("s")
        assert (talked.message_count, talked.last_message) == (4, "lately")
        assert (await site.conversation("old")).last_message is None

        assert await purge(site.db, SETTINGS) == {"texts of messages": 0}
        at_day(monkeypatch, 51)
        assert await purge(site.db, SETTINGS) == {"texts of messages": 1}
        async with site.db.read() as connection:
            # What rested since is not looked through again, every hour and for ever.
            again = moment(60 * DAY)
            assert await find_old_threads(connection, site.id, again, "", 10) == []


async def test_what_was_dropped_does_not_come_back_whoever_tells_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_day(monkeypatch, 0)
    async with connected(database_url) as site:
        await site.take(talk("s", last_message=MARK), said("s", 1, MARK), said("s", 2, MARK))
        await keep_for(site, 30)
        at_day(monkeypatch, 31)
        await purge(site.db, SETTINGS)
        told = [said("s", 1, MARK, seen=31 * DAY), said("s", 3, MARK, seen=31 * DAY)]
        await site.take(talk("s", seen=31 * DAY, last_message=MARK), *told)
        edit: dict[str, Any] = {"session_id": "s", "fingerprint": 1, "content": f"{MARK} edited"}
        await hooked(
            site,
            sent("s", 4, MARK),
            hook("message:updated", 31 * DAY, **edit),
            hook("message:updated", 31 * DAY, **edit | {"fingerprint": 9}),
            sent("s", 9, MARK),
        )
        assert MARK not in await everything(site)
        assert (await site.conversation("s")).message_count == 5
        async with site.db.read() as connection:
            assert await message_drift(connection, site.id, told) == {}

        await keep_for(site, None)
        await site.take(said("s", 2, MARK, seen=32 * DAY), said("s", 6, MARK, seen=32 * DAY))
        assert (await site.message("s", 2)).body == ""
        assert (await site.message("s", 6)).body == MARK


async def test_a_dropped_message_can_still_be_removed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_day(monkeypatch, 0)
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1, MARK), said("s", 2, "stays", at=DAY))
        await keep_for(site, 30)
        at_day(monkeypatch, 31)
        await purge(site.db, SETTINGS)
        gone = hook("message:removed", 31 * DAY, session_id="s", fingerprint=1)
        await hooked(site, gone)
        assert (await site.message("s", 1)).deleted_at is not None
        assert (await site.conversation("s")).message_count == 1


async def test_the_change_feed_tells_of_dropped_text(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_day(monkeypatch, 0)
    async with connected(database_url) as site:
        await site.take(talk("s"), said("s", 1, MARK), said("s", 2, "new", at=20 * DAY))
        await keep_for(site, 30)
        at_day(monkeypatch, 31)
        async with site.db.read() as connection:
            places = await newest_places(connection, [site.id])
        await purge(site.db, SETTINGS)
        async with site.db.read() as connection:
            told = await read_changes(connection, [site.id], places, 10)
        kinds = [(change.kind, change.key) for change in told.changes]
        assert kinds == [("message", (conversation_id(site.id, "s"), 1))]
