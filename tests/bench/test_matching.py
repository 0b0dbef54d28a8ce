"""Matching at size: 100,000 conversations against 50,000 contacts, straight on the tables.

Four times are told: finding whose all of them are, nothing written; all of them, none linked before
(every row is written); all of them again (read, nothing written); and 50 that one page touched, which
is what happens all day. The targets are seconds on a quiet machine with two cores: 6 on SQLite and 3 on
PostgreSQL for the second, 100 ms for 50.

Seconds are not enforced. What is: linking all takes no more than REWRITES times as long as a bare
UPDATE of one indexed column in every row, which is the least that writing so many links can cost; and
50 cost less than a hundredth of all.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median

import pytest
import pytest_asyncio
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversation_companies, conversations
from app.db.session import Database, open_database
from app.matching.link import relink, relink_all
from app.matching.rules import matches
from app.matching.statements import WEBSITE as WEBSITE_GIVEN
from app.matching.statements import in_scope
from tests.bench.databases import database
from tests.bench.figures import tell, verdict
from tests.bench.matching_rows import WEBSITE, fill, talk_id
from tests.fixtures.databases import KINDS

PEOPLE, TALKS, TOUCHED = 50_000, 100_000, 50
SECONDS = {"sqlite": 6.0, "postgres": 3.0}
SECONDS_FOR_TOUCHED = 0.1
REWRITES = 6

Work = Callable[[AsyncConnection], Awaitable[None]]


@pytest_asyncio.fixture(params=KINDS)
async def full(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    with database(request.param, tmp_path) as url:
        db = open_database(url)
        await fill(db, PEOPLE, TALKS)
        yield db
        await db.close()


async def test_matching_at_size(full: Database) -> None:
    finding = await _seconds(full, _find)
    first = await _seconds(full, lambda connection: relink_all(connection, WEBSITE))
    again = await _seconds(full, lambda connection: relink_all(connection, WEBSITE))
    few = [await _touch(full, begin) for begin in range(0, 20 * TOUCHED, TOUCHED)]
    linked, companies = await _linked(full)
    rewritten = await _seconds(full, _rewrite)
    kind = "sqlite" if full.is_sqlite else "postgres"
    tell(f"matching {TALKS:,} conversations with {PEOPLE:,} contacts on {kind}")
    tell(f"  finding alone:       {finding:.2f} s")
    tell(f"  all, the first time: {first:.2f} s; {verdict(first, SECONDS[kind])}")
    tell(
        f"    in rewrites of every row ({rewritten:.2f} s): {first / rewritten:.1f}, at most {REWRITES}"
    )
    tell(f"  all, nothing new:    {again:.2f} s")
    tell(
        f"  {TOUCHED} of them:         {median(few) * 1000:.0f} ms "
        f"(slowest {max(few) * 1000:.0f} ms); {verdict(median(few), SECONDS_FOR_TOUCHED)}"
    )
    assert 0.8 * TALKS < linked < 0.9 * TALKS
    assert linked <= companies
    assert first < REWRITES * rewritten
    assert median(few) < max(first / 100, 0.02)


async def _seconds(db: Database, work: Work) -> float:
    began = time.monotonic()
    async with db.write() as connection:
        await work(connection)
    return time.monotonic() - began


async def _find(connection: AsyncConnection) -> None:
    found = matches(conversations, WEBSITE_GIVEN, in_scope(whole=True), whole=True).subquery()
    owned = await connection.scalar(select(func.count(found.c.contact_id)), {"website": WEBSITE})
    assert 0.8 * TALKS < int(owned or 0) < 0.9 * TALKS


async def _rewrite(connection: AsyncConnection) -> None:
    await connection.execute(
        conversations.update()
        .where(conversations.c.website_id == WEBSITE)
        .values(contact_id=func.coalesce(conversations.c.contact_id, "") + "-")
    )


async def _touch(db: Database, begin: int) -> float:
    """Half of them lost their link just now."""
    ids = [talk_id(n) for n in range(begin, begin + TOUCHED)]
    async with db.write() as connection:
        await connection.execute(
            conversations.update()
            .where(conversations.c.website_id == WEBSITE, conversations.c.id.in_(ids[::2]))
            .values(contact_id=None, match_rule=None, unmatched_reason="no_identity")
        )
    return await _seconds(db, lambda connection: relink(connection, WEBSITE, ids))


async def _linked(db: Database) -> tuple[int, int]:
    async with db.read() as connection:
        linked = await connection.scalar(
            select(func.count()).where(conversations.c.contact_id.is_not(None))
        )
        companies = await connection.scalar(
            select(func.count(text("*"))).select_from(conversation_companies)
        )
    return int(linked or 0), int(companies or 0)
