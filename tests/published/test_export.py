"""Exports: whole, defused, flat in memory, and without private notes unless asked for (SPEC V4, P5)."""

import asyncio
import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from sqlalchemy import select

from app.conversations.tables import conversations, messages
from app.db.base import AnySelect
from app.db.session import Database
from app.db.upsert import upsert
from app.published.export import NOUNS, ROWS_AT_ONCE, Export, Form, Noun, stream
from app.published.parquet import write_parquet
from app.spreadsheet import undefused
from tests.api.conftest import some_rows
from tests.ingesting import WEBSITE, Site, connected, moment, person, said, talk

# FAILURES case 71: what a spreadsheet program might run, and what breaks a line or a cell.
NASTY = (
    "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1+1", "＝1", "＋1", "－1", "＠x", "  =1", "　=1",
    "'=1", "''=1", "a,b", 'say "x"', "line\nline", "\r\n", ";=1", "|", "é 👩‍👩‍👧\u202e", "=cmd|' /C calc'!A0",
)  # fmt: skip


async def exported(db: Database, noun: Noun, form: Form = "csv", **asked: Any) -> str:
    export = Export(noun, [WEBSITE], **asked)
    return b"".join([part async for part in stream(db, export, form)]).decode()


def rows_in(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_each_noun_in_both_forms(database_url: str) -> None:
    async with connected(database_url) as site:
        await some_rows(site, "acme")
        counts: dict[Noun, int] = {
            "contacts": 2, "companies": 1, "conversations": 3, "messages": 3,
        }  # fmt: skip
        for noun in NOUNS:
            table = rows_in(await exported(site.db, noun))
            lines = (await exported(site.db, noun, "jsonl")).splitlines()
            assert len(table) == len(lines) == counts[noun], noun
            assert all(isinstance(json.loads(line), dict) for line in lines)
        ann = next(r for r in rows_in(await exported(site.db, "contacts")) if "Ann" in r["email"])
        assert (ann["company_name"], ann["created"][-1]) == ("acme Ltd", "Z")
        assert len(rows_in(await exported(site.db, "messages", notes=True))) == 4


async def test_case_071_no_cell_begins_a_formula(database_url: str) -> None:
    async with connected(database_url) as site:
        for n, text in enumerate(NASTY):
            await site.add_by_hand(text, attributes={"plan": text, f"k{n}": text}, phone=text)
            await site.take(
                talk(f"t{n}", meta={"subject": text, "nickname": text}),
                said(f"t{n}", 1, text, user={"nickname": text}),
            )
        for noun in NOUNS:
            for row in rows_in(await exported(site.db, noun)):
                for head, cell in row.items():
                    assert (
                        cell.lstrip(" 　'")[:1] not in set("=+-@\t\r＝＋－＠") or cell[0] == "'"
                    ), head
        found = rows_in(await exported(site.db, "contacts"))
        assert {undefused(row["name"]) for row in found} == set(NASTY)
        assert {undefused(row["data.plan"]) for row in found} == set(NASTY)
        bodies = {row["body"] for row in rows_in(await exported(site.db, "messages"))}
        stored = {row.body for row in await site.rows(select(messages.c.body))}
        assert {undefused(body) for body in bodies} == stored


async def test_what_is_hidden_or_filtered_is_left_out(database_url: str) -> None:
    async with connected(database_url) as site:
        await some_rows(site, "acme")
        await site.remove_person("ann-acme", 10)
        assert len(rows_in(await exported(site.db, "contacts"))) == 1
        assert len(rows_in(await exported(site.db, "contacts", hidden=True))) == 2

        def only_resolved(query: AnySelect) -> AnySelect:
            return query.where(conversations.c.status == "resolved")

        (row,) = rows_in(await exported(site.db, "conversations", narrow=only_resolved))
        assert row["session_id"] == "t2-acme"


async def test_an_attribute_that_only_hidden_contacts_have_is_no_column(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.add_by_hand("Ann", attributes={"plan": "gold"}, deleted_at=moment(1))
        await site.add_by_hand("Ben", attributes={"team": "blue"})
        for hidden, heads in ((False, {"data.team"}), (True, {"data.plan", "data.team"})):
            (row, *_) = rows_in(await exported(site.db, "contacts", hidden=hidden))
            assert {head for head in row if head.startswith("data.")} == heads


async def many_messages(site: Site, count: int) -> None:
    await site.take(talk("long"))
    own = (await site.conversation("long")).id
    rows = [
        {
            "website_id": site.id, "conversation_id": own, "fingerprint": n, "direction": "inbound",
            "type": "text", "body": "x" * 1000, "content": None, "automated": False,
            "sent_at": moment(n), "raw": {}, "version_ms": 0, "observed_ms": 0, "complete": True,
        }
        for n in range(count)
    ]  # fmt: skip
    async with site.db.write() as connection:
        await upsert(
            connection, messages, rows, key=("website_id", "conversation_id", "fingerprint")
        )


async def test_pages_meet_without_a_gap_and_memory_stays_flat(database_url: str) -> None:
    count = ROWS_AT_ONCE * 12 + 1
    async with connected(database_url) as site:
        await many_messages(site, count)
        seen: list[int] = []
        await exported(site.db, "companies")  # what is loaded once is not counted
        tracemalloc.start()
        async for part in stream(site.db, Export("messages", [WEBSITE]), "jsonl"):
            seen += [json.loads(line)["fingerprint"] for line in part.splitlines()]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == list(range(count))
        assert peak < 12_000_000, "a page of 500 messages of a kilobyte, not 6,000 of them"


async def test_a_slow_taker_holds_no_connection(database_url: str) -> None:
    async with connected(database_url) as site:
        await many_messages(site, ROWS_AT_ONCE * 2)
        parts = [stream(site.db, Export("messages", [WEBSITE]), "csv") for _ in range(12)]
        for part in parts:
            await anext(part)
            await anext(part)
        # More than the pool has, all in the middle of their file.
        async with asyncio.timeout(20):
            await site.take(person("ann"))
        for part in parts:
            await part.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_parquet_has_types(database_url: str, tmp_path: Path) -> None:
    async with connected(database_url) as site:
        await some_rows(site, "acme")
        for noun, count in (("contacts", 2), ("messages", 3), ("companies", 1)):
            file = tmp_path / f"{noun}.parquet"
            export = Export(noun, [WEBSITE])
            assert await write_parquet(site.db, export, file) == count
        table = pq.read_table(tmp_path / "messages.parquet").to_pylist()
        assert {row["body"] for row in table} == {
            "Where is my money?", "On its way", "=HYPERLINK(1)",
        }  # fmt: skip
        assert all(isinstance(row["sent_at"], datetime) for row in table)
        assert table[0]["sent_at"].tzinfo is not None
        assert pq.read_schema(tmp_path / "contacts.parquet").names[0] == "email"


@pytest.mark.parametrize("value", [datetime(2026, 3, 2, 9, tzinfo=UTC), None])
async def test_times_are_utc_with_milliseconds(database_url: str, value: datetime | None) -> None:
    async with connected(database_url) as site:
        await site.add_by_hand("Ann", signed_up_at=value)
        (row,) = rows_in(await exported(site.db, "contacts"))
        assert row["created"] == ("2026-03-02T09:00:00.000Z" if value else "")
