"""Every cell of every file is what the database holds, and a large file takes no more memory than a small one (SPEC V4, V7)."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import tracemalloc
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, get_args

import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Table, insert, select, update

from app.api.exports import Noun
from app.companies.tables import companies, company_aliases, contact_companies, domain_ties
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations, messages, operators
from app.edits.tables import remedies
from app.imports.tables import imports
from app.matching.tables import merges
from app.published.export import ROWS_AT_ONCE
from app.spreadsheet import undefused
from app.sync.tables import sync_runs
from app.webhooks.tables import inbox_events
from tests.api.conftest import Api
from tests.api.test_exports import fill
from tests.hooking import hook, row_of
from tests.ingesting import Site, moment, said, talk
from tests.published.test_export import many_messages

Row = dict[str, Any]
Stored = Callable[[Site], Awaitable[list[Row]]]
OF_FIELDS = ("job_title", "role", "country", "region", "city", "time_zone", "locales")
# Attributes of fields, and of keys of their own: texts, one that a spreadsheet would run, numbers, nested.
ODD = {"job_title": "Buyer, senior", "role": "", "country": "FR"}
CUSTOM = {"plan": "=gold", "data.seats": 12, "data.tags": ["a", "b"], "data.more": {"deep": [1.5, None]}}  # fmt: skip


async def rows_of(site: Site, table: Table) -> list[Row]:
    found = await site.rows(select(table).where(table.c.website_id == site.id))
    return [dict(row._mapping) for row in found]


async def joined(site: Site, query: Any) -> Mapping[str, str]:
    """(whose, value) pairs in their order to the values of each, with `|` between them."""
    found: dict[str, list[str]] = defaultdict(list)
    for whose, value in await site.rows(query):
        found[whose].append(value)
    return {whose: "|".join(values) for whose, values in found.items()}


async def of_contacts(site: Site) -> list[Row]:
    link = contact_companies.c
    names = await joined(
        site,
        select(link.contact_id, companies.c.name)
        .join_from(contact_companies, companies, companies.c.id == link.company_id)
        .where(link.website_id == site.id, link.until.is_(None))
        .order_by(link.since.desc(), link.id),
    )
    return [
        row
        | {key: row["attributes"].get(key) for key in OF_FIELDS}
        | {f"data.{k.removeprefix('data.')}": row["attributes"].get(k) for k in CUSTOM}
        | {"segments": "|".join(row["segments"]), "company_name": names.get(row["id"], "")}
        | {"created": row["signed_up_at"], "last_active": row["last_active_at"]}
        for row in await rows_of(site, contacts)
        if row["deleted_at"] is None
    ]


async def of_companies(site: Site) -> list[Row]:
    alias = company_aliases.c
    domains = await joined(
        site,
        select(alias.company_id, alias.value)
        .where(alias.website_id == site.id, alias.kind == "domain")
        .order_by(alias.value),
    )
    return [
        row
        | {"domains": domains.get(row["id"], "")}
        | {f"data.{key}": row["attributes"].get(key) for key in CUSTOM}
        for row in await rows_of(site, companies)
        if row["deleted_at"] is None
    ]


async def of_conversations(site: Site) -> list[Row]:
    link = conversation_companies.c
    owners = await joined(
        site,
        select(link.conversation_id, link.company_id)
        .where(link.website_id == site.id)
        .order_by(link.company_id),
    )
    return [
        row
        | {"company_ids": owners.get(row["id"], "")}
        | {"created_at": row["crisp_created_at"], "updated_at": row["crisp_updated_at"]}
        for row in await rows_of(site, conversations)
        if row["deleted_at"] is None
    ]


async def of_messages(site: Site) -> list[Row]:
    gone = {"body": "", "content": None}
    return [
        row | (gone if row["deleted_at"] is not None else {})
        for row in await rows_of(site, messages)
        if row["type"] != "note"
    ]


async def of_unmatched(site: Site) -> list[Row]:
    return [row for row in await of_conversations(site) if row["unmatched_reason"] is not None]


async def of_domains(site: Site) -> list[Row]:
    rows = await rows_of(site, domain_ties)
    return [row | {"ignored": row["company_id"] is None} for row in rows]


async def of_operators(site: Site) -> list[Row]:
    return [row | {"id": row["user_id"]} for row in await rows_of(site, operators)]


def as_they_are(table: Table) -> Stored:
    async def rows(site: Site) -> list[Row]:
        return await rows_of(site, table)

    return rows


STORED: Mapping[str, Stored] = {
    "contacts": of_contacts,
    "companies": of_companies,
    "conversations": of_conversations,
    "messages": of_messages,
    "unmatched": of_unmatched,
    "domains": of_domains,
    "merges": as_they_are(merges),
    "remedies": as_they_are(remedies),
    "syncs": as_they_are(sync_runs),
    "imports": as_they_are(imports),
    "events": as_they_are(inbox_events),
    "operators": of_operators,
}


async def odd_values(api: Api) -> None:
    """Something of each kind: nested values, what a spreadsheet would run, marks, files, a hook."""
    await fill(api)
    site = api.here
    for table in (contacts, companies):
        mixed = ODD | CUSTOM if table is contacts else CUSTOM
        await site.execute(update(table).values(attributes=mixed))
    file = {"name": "a, b.pdf", "url": "https://files.example/a", "type": "application/pdf"}
    await site.take(
        talk("t9", at=9, meta={"subject": '@"quoted",\nand more', "data": {"n": [1, None]}}),
        said("t9", 1, file, 9, type="file"),
        said("t9", 2, "Wrong", 10),
        said("t9", 3, "Right", 11),
    )
    m = messages.c
    await site.execute(update(messages).where(m.fingerprint == 2).values(deleted_at=moment(20)))
    await site.execute(update(messages).where(m.body == "Right").values(edited_at=moment(20)))
    await site.execute(
        update(conversations).where(conversations.c.session_id == "t9").values(rating=4)
    )
    # A hook that could not be applied.
    event = row_of(hook("message:send", website_id=site.id), state="dead", error="=1+1")
    await site.execute(insert(inbox_events).values(event))


def key_of(noun: str, row: Row) -> Any:
    if noun == "messages":
        return (row["conversation_id"], int(row["fingerprint"]))
    return row["domain"] if noun == "domains" else row["id"]


def plain(value: Any) -> Any:
    """To milliseconds, of which both databases keep at least that many."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value


def as_cell(value: Any) -> str:
    """As RFC 4180 has it, written apart from the code under test."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    return str(value)


def is_told(value: Any, cell: str) -> bool:
    """What is nested is JSON, or texts with `|` between them."""
    texts = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
    if texts and cell == "|".join(value):
        return True
    if isinstance(value, dict | list):
        return bool(json.loads(cell) == value)
    return cell == as_cell(value)


def parsed(text: str) -> list[Row]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [{head: undefused(cell) for head, cell in row.items()} for row in rows]


@pytest.mark.parametrize("noun", get_args(Noun))
async def test_every_cell_is_what_the_database_holds(api: Api, noun: str) -> None:
    await odd_values(api)
    expected = {key_of(noun, row): row for row in await STORED[noun](api.here)}
    assert expected
    sheet = parsed((await api.get("viewer", f"/exports/{noun}")).text)
    file = (await api.get("viewer", f"/exports/{noun}?format=parquet")).content
    table = pyarrow.parquet.read_table(io.BytesIO(file)).to_pylist()
    for told in (sheet, table):
        assert sorted(map(str, (key_of(noun, row) for row in told))) == sorted(map(str, expected))
    wrong = []
    for row in sheet:
        one = expected[key_of(noun, row)]
        wrong += [
            (head, cell, one[head]) for head, cell in row.items() if not is_told(one[head], cell)
        ]
    for row in table:
        one = expected[key_of(noun, row)]
        for head, value in row.items():
            true = plain(one[head])
            right = (
                is_told(true, value)
                if isinstance(true, dict | list | int) and isinstance(value, str)
                else value == true
            )
            if not right:
                wrong.append((head, value, true))
    assert wrong == []
    lines = [
        json.loads(x)
        for x in (await api.get("viewer", f"/exports/{noun}?format=jsonl")).text.splitlines()
    ]
    assert len(lines) == len(expected)
    for line in lines:
        one = expected[key_of(noun, line)]
        for name in line.keys() & one.keys() - {"segments", "domains"}:
            true = one[name]
            assert line[name] == (as_cell(true) if isinstance(true, datetime) else true), name


async def peak_of(api: Api, form: str) -> tuple[int, int]:
    """Bytes of Python's at once, and of the file, while the app sends it to somebody who keeps nothing."""
    size = 0
    scope = {
        "type": "http", "method": "GET", "path": "/api/v1/exports/messages",
        "raw_path": b"/api/v1/exports/messages", "root_path": "", "scheme": "http",
        "query_string": f"format={form}".encode(), "client": ("127.0.0.1", 1), "server": ("x", 80),
        "headers": [(b"authorization", b"Bearer viewer"), (b"host", b"crispsync.example")],
        "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip

    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        for message in asked:
            return message
        return await asyncio.Future()  # it does not hang up

    async def send(message: Any) -> None:
        nonlocal size
        assert message.get("status", 200) == 200
        size += len(message.get("body", b""))

    tracemalloc.start()
    try:
        await api.whole(scope, receive, send)
        return tracemalloc.get_traced_memory()[1], size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
async def test_a_file_six_times_as_large_takes_no_more_memory(api: Api, form: str) -> None:
    await many_messages(api.here, ROWS_AT_ONCE * 2)
    await peak_of(api, form)  # what is loaded once is not counted
    small, size = await peak_of(api, form)
    await many_messages(api.here, ROWS_AT_ONCE * 12)
    large, larger = await peak_of(api, form)
    assert larger > 3 * size or form == "parquet", "which packs the same text away"
    assert large < 1.5 * small, f"{large:,} and {small:,} bytes"
