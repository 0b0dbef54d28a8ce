"""Figures as of a past moment are those that were told then, whatever happened since (SPEC V8, docs/insights.md).

Monday 2 March 2026, 9:00 UTC is minute 0; business hours are 9 to 17 UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from app.conversations.tables import conversations
from app.conversations.threads import MessageRemoval
from app.ingest import remove_messages
from app.insights.groups import By, GroupFigures
from app.insights.keep import catch_up
from app.insights.read import Period, hours_of, read_behind, read_groups
from app.insights.thread import Span
from app.records import MessageRecord
from app.websites.business_hours import DEFAULT
from app.websites.rules import rules_of
from tests.edits.merging import merged
from tests.ingesting import Site, connected, moment, ms, person, said, talk

EVENT: dict[str, Any] = {"type": "event", "sent_by": "operator"}


def asks(session_id: str, at: float) -> MessageRecord:
    return said(session_id, int(at * 10) + 1, "A question", at)


def answers(session_id: str, at: float, by: str) -> MessageRecord:
    by_whom = {"nickname": by, "user_id": f"id-of-{by}"}
    return said(session_id, int(at * 10) + 2, "An answer", at, sent_by="operator", user=by_whom)


def becomes(session_id: str, state: str, at: float) -> MessageRecord:
    return said(session_id, int(at * 10) + 3, {"namespace": f"state:{state}"}, at, **EVENT)


async def groups(site: Site, by: By = "week", as_of: float | None = None) -> list[GroupFigures]:
    """Of all that was opened; `as_of` in minutes, None is now."""
    period = Period(moment(-600), moment(600), None if as_of is None else moment(as_of))
    async with site.db.read() as connection:
        hours = await hours_of(connection, site.id, DEFAULT)
        return await read_groups(connection, site.id, by, period, hours)


async def then(site: Site, at: float | None) -> GroupFigures:
    (week,) = await groups(site, as_of=at)
    return week


@pytest_asyncio.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    async with connected(database_url) as opened:
        yield opened


async def reopened_thread(site: Site) -> None:
    """Asked at 0, answered at 10, resolved at 30; asked again at 60, answered at 70, resolved at 90."""
    await site.take(
        person("iva", email="iva@acme.example", company={"name": "Acme", "domain": "acme.example"}),
        talk("t", at=95, people_id="iva", state="resolved"),
        asks("t", 0), answers("t", 10, "Ana"), becomes("t", "resolved", 30),
        asks("t", 60), becomes("t", "unresolved", 60),
        answers("t", 70, "Bo"), becomes("t", "resolved", 90),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("at", "first_response", "resolution", "reopenings", "waiting_since", "last_contact"),
    [
        (5, None, None, 0, 0, 0),
        (10, 10, None, 0, None, 10),
        (45, 10, 30, 0, None, 10),
        (65, 10, 30, 1, 60, 60),
        (75, 10, 30, 1, None, 70),
        (120, 10, 90, 1, None, 70),
        (None, 10, 90, 1, None, 70),
    ],
)
async def test_a_conversation_that_was_reopened_later_was_resolved_then(
    site: Site,
    at: float | None,
    first_response: int | None,
    resolution: int | None,
    reopenings: int,
    waiting_since: int | None,
    last_contact: int,
) -> None:
    def span(minutes: int | None) -> Span | None:
        return None if minutes is None else Span(minutes * 60, minutes * 60)

    await reopened_thread(site)
    for _ in range(2):  # from the messages, and where possible from what is kept
        found = await then(site, at)
        assert (found.conversations, found.reopenings) == (1, reopenings)
        assert (found.first_response, found.resolution) == (span(first_response), span(resolution))
        waits = None if waiting_since is None else moment(waiting_since)
        assert (found.waiting_since, found.waiting) == (waits, int(waits is not None))
        assert found.last_contact_at == moment(last_contact)
        await catch_up(site.db, DEFAULT)


async def test_a_rating_counts_now_and_at_no_past_moment(site: Site) -> None:
    """Crisp does not tell when it was given."""
    await reopened_thread(site)
    await site.execute(update(conversations).values(rating=5))
    assert ((await then(site, None)).rated, (await then(site, None)).rating) == (1, 5.0)
    for at in (45, 120):
        found = await then(site, at)
        assert (found.rated, found.rating) == (0, None)


async def test_a_message_that_was_removed_later_had_been_said(site: Site) -> None:
    await site.take(
        talk("t", at=60, state="unresolved"),
        asks("t", 0), answers("t", 10, "Ana"),
    )  # fmt: skip
    before = await then(site, 40)
    assert (before.first_response, before.waiting) == (Span(600, 600), 0)
    async with site.db.write() as connection:
        rules = await rules_of(connection, site.id)
        removal = MessageRemoval("t", answers("t", 10, "Ana").fingerprint, ms(50))
        await remove_messages(connection, rules, [removal])
    await catch_up(site.db, DEFAULT)
    assert await then(site, 40) == before, "nobody had removed it yet"
    for at in (50, 55, None):
        found = await then(site, at)
        assert (found.first_response, found.answered, found.waiting) == (None, 0, 1)
        assert (found.waiting_since, found.last_contact_at) == (moment(0), moment(0))
    assert [group.name for group in await groups(site, "operator", 40)] == ["Ana"]
    assert await groups(site, "operator", 55) == []


async def test_a_conversation_that_was_removed_later_counts_at_no_moment(site: Site) -> None:
    await reopened_thread(site)
    await site.take(talk("other", at=5), asks("other", 1))
    assert (await then(site, 45)).conversations == 2
    await site.remove_talk("other", 50)
    for at in (45, 120, None):
        assert (await then(site, at)).conversations == 1


async def test_a_contact_that_was_merged_later_counts_as_the_winner(site: Site) -> None:
    """Whose a conversation is, is as of now: then as before, no figure is told twice or lost."""
    await reopened_thread(site)
    await site.take(
        person("bob", email="bob@acme.example", person={"nickname": "Bob"}),
        talk("b", at=20, people_id="bob"),
        asks("b", 5), answers("b", 25, "Bo"),
    )  # fmt: skip
    iva, bob = (await site.contact("iva")).id, (await site.contact("bob")).id
    each = {group.key: group for group in await groups(site, "contact", 45)}
    assert each[iva].first_response == Span(600, 600)
    assert each[bob].first_response == Span(1200, 1200)
    await merged(site, "contact", bob, iva)
    for at in (45, None):
        (both,) = await groups(site, "contact", at)
        assert (both.key, both.conversations, both.answered) == (iva, 2, 2)
        assert both.first_response == Span(900, 900), "the median of two is between them"
    async with site.db.read() as connection:
        hours = await hours_of(connection, site.id, DEFAULT)
        period = Period(moment(-600), moment(600), moment(45))
        behind = await read_behind(connection, site.id, "contact", iva, period, hours)
        assert await read_behind(connection, site.id, "contact", bob, period, hours) == []
    assert len(behind) == 2


async def test_what_was_opened_later_was_not_there(site: Site) -> None:
    await site.take(talk("t", at=1, created_at=ms(100)), asks("t", 100))
    assert await groups(site, as_of=100) == []
    assert (await then(site, 101)).conversations == 1
