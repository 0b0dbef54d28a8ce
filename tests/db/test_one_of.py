"""`is_one_of`: the same rows on both databases, however many values, and by an index."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ColumnElement, delete, select, text, update

from app.conversations.tables import conversations, messages
from app.db.one_of import is_one_of
from tests.ingesting import WEBSITE, Site, connected, said, talk

TALKS = ("a", "b'; --", "ü💥", '"[]')


async def _found(site: Site, condition: ColumnElement[bool], **given: Any) -> list[str]:
    query = select(conversations.c.session_id).where(condition).order_by(conversations.c.session_id)
    async with site.db.read() as connection:
        return list((await connection.execute(query, given)).scalars())


async def test_it_finds_what_a_list_would_find(database_url: str) -> None:
    column = conversations.c.session_id
    async with connected(database_url) as site:
        await site.take(*(talk(name) for name in TALKS))
        assert await _found(site, is_one_of(column, TALKS)) == sorted(TALKS)
        assert await _found(site, is_one_of(column, {"a", "ü💥", "nobody"})) == ["a", "ü💥"]
        assert await _found(site, is_one_of(column, ())) == []
        many = [f"nobody {number}" for number in range(50_000)]  # FAILURES case 76
        assert await _found(site, is_one_of(column, [*many, "a"])) == ["a"]
        assert await _found(site, is_one_of(column, "names"), names=["a", '"[]']) == ['"[]', "a"]


async def test_numbers_are_found_as_numbers(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("a"), *(said("a", number, "x") for number in (-(1 << 63), 7, 8)))
        wanted = is_one_of(messages.c.fingerprint, [-(1 << 63), 8])
        rows = await site.rows(select(messages.c.fingerprint).where(wanted))
        assert sorted(row.fingerprint for row in rows) == [-(1 << 63), 8]


async def test_it_stands_where_rows_are_changed_too(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(*(talk(name) for name in TALKS))
        column = conversations.c.session_id
        await site.execute(
            update(conversations).where(is_one_of(column, TALKS[:2])).values(subject="changed")
        )
        assert await _found(site, conversations.c.subject == "changed") == sorted(TALKS[:2])
        await site.execute(delete(conversations).where(is_one_of(column, TALKS[2:])))
        assert await _found(site, conversations.c.id.is_not(None)) == sorted(TALKS[:2])


@pytest.mark.parametrize("whole", [True, False], ids=["many", "one"])
async def test_sqlite_looks_each_up_in_the_key(sqlite_url: str, whole: bool) -> None:
    """PostgreSQL chooses by size; tests/db/test_plans.py looks at what it reads."""
    asked = select(conversations.c.subject).where(
        conversations.c.website_id == WEBSITE,
        is_one_of(conversations.c.id, TALKS if whole else TALKS[:1]),
    )
    async with connected(sqlite_url) as site, site.db.read() as connection:
        sql = str(asked.compile(dialect=connection.dialect))
        plan = await connection.execute(
            text(f"EXPLAIN QUERY PLAN {sql.replace('?', ':a', 1).replace('?', ':b', 1)}"),
            {"a": WEBSITE, "b": "[]"},
        )
        assert any("(website_id=? AND id=?)" in row.detail for row in plan)
