"""Lists: complete, without repeats, stable under inserts, and few statements whatever their size."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from sqlalchemy import event

from app.db.session import Database
from tests.pages import rows
from tests.pages.rows import put, small_world

pytestmark = pytest.mark.asyncio

MOST_STATEMENTS = 13


def ids_in(text: str, folder: str) -> list[str]:
    """Ids of the list's rows, in their order."""
    return [unquote(i) for i in re.findall(rf'data-row href="/{folder}/([^"?]+)', text)]


def step(text: str, rel: str) -> str | None:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', text)
    return found.group(1).replace("&amp;", "&") if found else None


async def walk(client: httpx.AsyncClient, path: str, folder: str, rel: str) -> list[list[str]]:
    pages, here = [], path
    while here:
        text = (await client.get(here)).text
        pages.append(ids_in(text, folder))
        here = step(text, rel) or ""
        assert len(pages) < 50
    return pages


def many_conversations(count: int) -> rows.Rows:
    """With ties and missing values in every column that can be sorted by."""
    dice = random.Random(3)
    return [
        rows.conversation(
            f"c{n:03}",
            crisp_updated_at=None if n % 9 == 0 else rows.ago(hours=dice.randrange(20)),
            crisp_created_at=None if n % 7 == 0 else rows.ago(hours=dice.randrange(20)),
            message_count=dice.randrange(5),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "sort", ["updated", "-updated", "opened", "-opened", "messages", "-messages"]
)
async def test_keyset_is_complete_without_repeats(
    db: Database, client: httpx.AsyncClient, sort: str
) -> None:
    await put(db, [rows.website(), *many_conversations(113)])
    pages = await walk(client, f"/conversations?sort={sort}", "conversations", "next")
    assert [len(page) for page in pages] == [25, 25, 25, 25, 13]
    everything = [row for page in pages for row in page]
    assert len(set(everything)) == 113


@pytest.mark.parametrize("sort", ["-updated", "opened"])
async def test_back_is_the_way_one_came(db: Database, client: httpx.AsyncClient, sort: str) -> None:
    await put(db, [rows.website(), *many_conversations(113)])
    path = f"/conversations?sort={sort}"
    forth = await walk(client, path, "conversations", "next")
    text = (await client.get(path)).text
    while link := step(text, "next"):
        text = (await client.get(link)).text
    back = [ids_in(text, "conversations")]
    while link := step(text, "prev"):
        text = (await client.get(link)).text
        back.append(ids_in(text, "conversations"))
    assert back == forth[::-1]


@pytest.mark.parametrize("sort", ["name", "-name", "active", "-active", "signed", "-signed"])
async def test_contacts_in_every_order(db: Database, client: httpx.AsyncClient, sort: str) -> None:
    names = ["Zoë", "alice", "Émile", "bob", "Ben", "ʻAkira", "山田", "שירה", None]
    people = [
        rows.contact(
            f"p{n:02}", name=names[n % 9], email=f"x{n}@a.example",
            last_active_at=rows.ago(hours=n % 5) if n % 4 else None,
            signed_up_at=rows.ago(days=n % 3) if n % 5 else None,
        )
        for n in range(60)
    ]  # fmt: skip
    await put(db, [rows.website(), *people])
    pages = await walk(client, f"/contacts?sort={sort}", "contacts", "next")
    everything = [row for page in pages for row in page]
    assert sorted(everything) == [f"p{n:02}" for n in range(60)]
    if sort == "name":
        firsts = [row for row in everything if int(row[1:]) % 9 in {1, 3, 4}]
        shown = [str(names[int(row[1:]) % 9]).casefold() for row in firsts]
        assert shown == sorted(shown)  # alice, ben, bob: capitals make no difference


async def test_new_rows_do_not_shift_the_pages(db: Database, client: httpx.AsyncClient) -> None:
    olds = [rows.conversation(f"c{n}", crisp_updated_at=rows.ago(hours=n)) for n in range(60)]
    await put(db, [rows.website(), *olds])
    first = (await client.get("/conversations")).text
    await put(
        db, [rows.conversation(f"new{n}", crisp_updated_at=rows.ago(minutes=n)) for n in range(9)]
    )
    second = (await client.get(step(first, "next") or "")).text
    assert ids_in(second, "conversations") == [f"c{n}" for n in range(25, 50)]


async def test_filters_and_counts_agree(db: Database, client: httpx.AsyncClient) -> None:
    dice = random.Random(5)
    made = [
        rows.conversation(
            f"c{n}",
            status=dice.choice(["pending", "unresolved", "resolved"]),
            assigned_to=dice.choice(["Mira", "Noam", None]),
            origin=dice.choice(["chat", "email", None]),
            contact_id=dice.choice(["ann", None]),
        )
        for n in range(90)
    ]
    await put(db, [rows.website(), rows.contact("ann"), *made])
    wanted: list[dict[str, Any]] = [
        {"status": "pending"}, {"status": "open", "operator": "Mira"}, {"operator": "-"},
        {"origin": "-", "matched": "no"}, {"status": "resolved", "matched": "yes", "origin": "chat"},
    ]  # fmt: skip
    for chosen in wanted:
        fits = [r for _, r in made if _fits(r, chosen)]
        text = (await client.get("/conversations", params={**chosen, "size": "100"})).text
        assert set(ids_in(text, "conversations")) == {r["id"] for r in fits}
        assert re.search(rf"\b{len(fits)} conversations? fits? what", text), chosen


def _fits(row: dict[str, Any], chosen: dict[str, str]) -> bool:
    status = {"open": {"pending", "unresolved"}}.get(
        chosen.get("status", ""), {chosen.get("status")}
    )
    return all(
        (
            "status" not in chosen or row["status"] in status,
            "operator" not in chosen or (row["assigned_to"] or "-") == chosen["operator"],
            "origin" not in chosen or (row["origin"] or "-") == chosen["origin"],
            "matched" not in chosen
            or (row["contact_id"] is not None) == (chosen["matched"] == "yes"),
        )
    )


async def test_a_long_thread_is_read_in_pages(db: Database, client: httpx.AsyncClient) -> None:
    talk = [
        rows.message("c", n, f"word{n}.", sent_at=rows.ago(minutes=3000 - n) if n > 9 else None)
        for n in range(450)
    ]
    await put(
        db, [rows.website(), rows.conversation("c", subject="Long", message_count=450), *talk]
    )
    newest = (await client.get("/conversations/c")).text
    assert "word449." in newest
    assert "word249." not in newest
    seen, text = [], newest
    while True:
        seen.append([int(n) for n in re.findall(r"word(\d+)\.", text)])
        found = re.search(
            r'href="(/conversations/c\?at=[^"#]+)#thread">[^A-Z]*<svg[^>]*>.*?</svg>Earlier', text
        )
        if not found:
            break
        text = (await client.get(found.group(1).replace("&amp;", "&"))).text
    assert [len(page) for page in seen] == [200, 200, 50]
    assert sorted(n for page in seen for n in page) == list(range(450))
    assert all(page == sorted(page) for page in seen)


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            statements.append(statement)

    event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(db.engine.sync_engine, "before_cursor_execute", note)


async def test_statements_do_not_grow_with_the_rows(
    db: Database, client: httpx.AsyncClient
) -> None:
    more = [
        part
        for n in range(60)
        for part in (
            rows.contact(f"p{n}", email=f"p{n}@acme.example"),
            rows.member(f"p{n}", "acme"),
            rows.conversation(f"t{n}", contact_id="ann"),
            rows.belongs(f"t{n}", "acme"),
            rows.message("talk", 100 + n),
            rows.failure("run", f"x{n}"),
        )
    ]
    await put(db, [*small_world(), *more, rows.run("live", state="running")])
    for path in ("/", "/contacts?size=100", "/companies", "/conversations?size=100&q=t",
                 "/contacts/ann", "/companies/acme", "/conversations/talk", "/conversations/lost",
                 "/unmatched", "/syncs", "/syncs/run", "/search?q=a", "/nowhere"):  # fmt: skip
        with counted(db) as statements:
            await client.get(path)
        assert len(statements) <= MOST_STATEMENTS, (path, len(statements))
