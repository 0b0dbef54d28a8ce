"""Rows that a parameter brings, read like a table's: the same on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.conversations.tables import conversations, messages
from app.db.base import dump_json
from app.db.given import given_rows
from tests.ingesting import connected, talk

ROWS: list[dict[str, Any]] = [
    {"id": "b'; --", "email_verified": True, "message_count": -(1 << 31)},
    {"id": '"[]', "email_verified": False, "people_id": "ü💥", "unknown": 1},
    {"id": "", "people_id": None, "message_count": 0},
]
NAMES = ("id", "people_id", "email_verified", "message_count")


async def test_each_row_is_there_with_its_types(database_url: str) -> None:
    async with connected(database_url) as site, site.db.read() as connection:
        given = given_rows(connection.dialect.name, conversations, NAMES, "told")
        rows = await connection.execute(select(given), {"told": dump_json(ROWS)})
        assert [row._asdict() for row in rows] == [
            {name: row.get(name) for name in NAMES} for row in ROWS
        ]


async def test_of_none_there_are_none(database_url: str) -> None:
    async with connected(database_url) as site, site.db.read() as connection:
        given = given_rows(connection.dialect.name, conversations, NAMES, "told")
        assert (await connection.execute(select(given), {"told": "[]"})).all() == []


async def test_they_are_joined_with_what_is_stored(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(talk("a"), talk("b"))
        async with site.db.read() as connection:
            given = given_rows(
                connection.dialect.name, messages, ("fingerprint", "sender_id"), "told"
            )
            same = conversations.c.session_id == given.c.sender_id
            query = select(given.c.fingerprint, conversations.c.session_id).outerjoin_from(
                given, conversations, same
            )
            told = [{"fingerprint": -(1 << 63), "sender_id": "b"}, {"fingerprint": 7}]
            rows = await connection.execute(query, {"told": dump_json(told)})
            assert sorted(tuple(row) for row in rows) == [(-(1 << 63), "b"), (7, None)]
