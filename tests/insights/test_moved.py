"""Who is silent and who writes most, compared with the same said in Python (SPEC V8)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from app.db.session import Database, open_database
from app.insights.risk import SILENT_DAYS, accounts_at_a_glance, accounts_at_risk
from tests.pages import rows
from tests.pages.rows import SITE, put

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=SILENT_DAYS)
COMPANIES = [f"f{n:02}" for n in range(14)]
AGES = (0, 1, 29.9, 30, 30.1, 30.9, 31, 31.5, 60, 400)
"""Days; the clocks of Crisp and of a message may differ by one."""


@dataclass(frozen=True)
class Talk:
    own_id: str
    companies: tuple[str, ...]
    status: str
    updated_at: datetime | None
    last_at: datetime | None
    removed: bool

    @property
    def spoken_at(self) -> datetime | None:
        return self.last_at or self.updated_at


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


def some_talks(dice: random.Random) -> list[Talk]:
    def moment() -> datetime | None:
        return None if dice.random() < 0.15 else NOW - timedelta(days=dice.choice(AGES))

    found = []
    for n in range(90):
        updated_at = moment()
        # Crisp moves the conversation with each message, but by a clock of its own.
        near = updated_at and updated_at + timedelta(hours=dice.choice((-20, 0, 0, 20)))
        last_at = dice.choice((None, near)) if near else moment()
        theirs = tuple(dice.sample(COMPANIES[:-1], dice.choice((0, 1, 1, 1, 2))))
        status = dice.choice(("pending", "unresolved", "resolved"))
        found.append(Talk(f"c{n}", theirs, status, updated_at, last_at, dice.random() < 0.1))
    return found


async def fill(db: Database, talks: list[Talk]) -> None:
    await put(
        db,
        [
            rows.website(),
            *(rows.company(name) for name in COMPANIES),
            *(
                rows.conversation(
                    talk.own_id, status=talk.status, crisp_updated_at=talk.updated_at,
                    last_message_at=talk.last_at, deleted_at=NOW if talk.removed else None,
                )
                for talk in talks
            ),
            *(rows.belongs(talk.own_id, name) for talk in talks for name in talk.companies),
        ],
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_silent_and_busiest_are_those_that_python_finds(db: Database, seed: int) -> None:
    talks = some_talks(random.Random(seed))
    await fill(db, talks)
    live = [talk for talk in talks if not talk.removed]
    talked = {name for talk in live if talk.spoken_at for name in talk.companies}
    spoke = {
        name
        for talk in live
        if talk.spoken_at and talk.spoken_at > SINCE
        for name in talk.companies
    }
    lately = [talk for talk in live if talk.updated_at and talk.updated_at >= SINCE]
    moved = Counter(name for talk in lately for name in talk.companies)
    still_open = Counter(
        name for talk in lately if talk.status != "resolved" for name in talk.companies
    )
    async with db.read() as connection:
        risk, busiest = await accounts_at_a_glance(
            connection, SITE, NOW, set(), at_risk=50, busiest=5
        )
        whole = await accounts_at_risk(connection, SITE, NOW, set(), reason="silent")
    assert {one.company_id for one in whole.accounts} == talked - spoke
    assert risk.by_reason == whole.by_reason
    assert whole.by_reason["silent"] == len(talked - spoke) > 0
    expected = sorted(moved, key=lambda name: (-moved[name], name))[:5]
    assert [(row.id, row.moved, row.open) for row in busiest] == [
        (name, moved[name], still_open[name]) for name in expected
    ]


async def test_conversations_of_nobody_are_no_company(db: Database) -> None:
    """There are more of them than of any company."""
    talks = [Talk(f"n{n}", (), "pending", NOW, NOW, removed=False) for n in range(9)]
    talks.append(Talk("c", ("f01",), "resolved", NOW, NOW, removed=False))
    await fill(db, talks)
    async with db.read() as connection:
        risk, busiest = await accounts_at_a_glance(
            connection, SITE, NOW, set(), at_risk=5, busiest=1
        )
    assert [(row.name, row.moved, row.open) for row in busiest] == [("f01", 1, 0)]
    assert risk.total == 0
