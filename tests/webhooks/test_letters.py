"""Listing events, and what may be seen of a body (SPEC V6, P7)."""

from __future__ import annotations

import json
import random
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from app.db.session import Database
from app.webhooks import letters
from app.webhooks.letters import Filter, Place, get_event, list_events, nearest
from app.webhooks.redact import redact
from tests.webhooks.conftest import OTHER, SITE, Put, ago, an_event, connect_website

PAYLOADS = sorted((Path(__file__).parent.parent / "payloads").glob("hook_*_*.json"))


async def walk(db: Database, wanted: Filter, size: int) -> list[list[str]]:
    pages, place = [], None
    async with db.read() as connection:
        while True:
            page = await list_events(connection, wanted, size, place)
            pages.append([row.id for row in page.rows])
            if page.older is None:
                return pages
            place = page.older


async def test_newest_first_complete_without_repeats(db: Database, put: Put) -> None:
    dice = random.Random(2)
    ids = await put(*(an_event(n, received_at=ago(hours=dice.randrange(9))) for n in range(73)))
    pages = await walk(db, Filter(), 10)
    assert [len(page) for page in pages] == [10] * 7 + [3]
    assert sorted(chain(*pages)) == sorted(ids)


async def test_back_is_the_way_one_came(db: Database, put: Put) -> None:
    await put(*(an_event(n, received_at=ago(hours=n // 7)) for n in range(40)))
    forth = await walk(db, Filter(), 9)
    back: list[list[str]] = []
    async with db.read() as connection:
        place: Place | None = Place(ago(days=9), "")
        while place is not None:
            page = await list_events(connection, Filter(), 9, place, back=True)
            back.append([row.id for row in page.rows])
            place = page.newer
    assert [row for page in reversed(back) for row in page] == list(chain(*forth))
    assert all(len(page) == 9 for page in back[:-1])


async def test_a_rare_event_is_found_over_several_pages(
    db: Database, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "LOOKED_AT", 20)
    await put(*(an_event(n, state="done", received_at=ago(minutes=n)) for n in range(90)))
    (rare,) = await put(an_event("rare", state="ignored", received_at=ago(days=1)))
    pages = await walk(db, Filter(("ignored",)), 5)
    assert pages == [[], [], [], [], [rare]]


async def test_filters(db: Database, put: Put) -> None:
    await connect_website(db)
    await connect_website(db, OTHER)
    dead, new, other, nobody = await put(
        an_event(1, received_at=ago(hours=4)), an_event(2, state="new", event="people:bind:session"),
        an_event(3, website_id=OTHER), an_event(4, website_id=None, state="parked"),
    )  # fmt: skip
    for wanted, found in (
        (Filter(("dead",)), {dead, other}),
        (Filter(("dead",), website_id=SITE, nobodys=True), {dead}),
        (Filter(("new",), website_id=SITE, nobodys=True), {new}),
        (Filter(website_id=SITE), {dead, new}),
        (Filter(("new",)), {new}),
        (Filter(("parked",), website_id=SITE, nobodys=True), {nobody}),
        (Filter(("dead", "parked", "new")), {dead, new, other, nobody}),
        (Filter(website_id=OTHER, nobodys=True), {other, nobody}),
        (Filter(event="people:bind:session"), {new}),
        (Filter(until=ago(hours=2)), {dead}),
        (Filter(since=ago(hours=2), website_id=SITE, nobodys=True), {new, nobody}),
    ):
        assert set((await walk(db, wanted, 50))[0]) == found, wanted


async def test_one_event_only_to_its_website(db: Database, put: Put) -> None:  # FAILURES case 91
    await connect_website(db)
    await connect_website(db, OTHER)
    own, other, nobody = await put(
        an_event(1), an_event(2, website_id=OTHER), an_event(3, website_id=None)
    )
    async with db.read() as connection:
        assert (await get_event(connection, own, SITE)).body == b'{"n":"1"}'  # type: ignore[union-attr]
        assert await get_event(connection, other, SITE) is None
        assert await get_event(connection, other) is not None
        assert await get_event(connection, nobody, SITE) is not None


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "ix_inbox_events_received_at"),
        (Filter(("done",), website_id=SITE, nobodys=True), "ix_inbox_events_received_at"),
        (Filter(("dead",), website_id=SITE, nobodys=True), "ix_inbox_events_kept"),
        (Filter(("parked",), website_id=SITE), "ix_inbox_events_kept"),
        (Filter(("parked",)), "ix_inbox_events_kept"),
        (Filter(("new",), website_id=SITE, nobodys=True), "ix_inbox_events_new"),
    ],
)
async def test_a_page_reads_an_index_and_no_more(
    db: Database, put: Put, wanted: Filter, index: str
) -> None:
    await put(*(an_event(n, state=("done", "dead", "new")[n % 3] if n < 90 else "done",
                         received_at=ago(seconds=n)) for n in range(3_000)))  # fmt: skip
    async with db.write() as connection:
        await connection.execute(text("ANALYZE"))
    event.listen(db.engine.sync_engine, "before_cursor_execute", _explained, retval=True)
    async with db.read() as connection:
        for place in (None, Place(ago(seconds=40), "0")):
            rows = await connection.execute(nearest(wanted, place, 26))
            told = "\n".join(str(row) for row in rows.cursor.fetchall())
            assert index in told, told


def _explained(*call: Any) -> tuple[str, Any]:
    _, cursor, statement, parameters, *_ = call
    if not (statement.startswith("SELECT") and "FROM inbox_events" in statement):
        return statement, parameters
    lite = "sqlite" in type(cursor).__module__
    return ("EXPLAIN QUERY PLAN " if lite else "EXPLAIN ") + statement, parameters


SECRETS = (
    "valerian", "crisp.chat/users", "@", "+336", "nantes", "47.2", "-1.55", "invoice", "https://",
    "baptiste", "products", "example", "hello", "paris", "firefox",
)  # fmt: skip


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_examples_show_ids_and_hide_people(path: Path) -> None:
    body = path.read_bytes()
    told = redact(body)
    shown = orjson.dumps(told.shown).decode()
    assert told.size == len(body)
    for secret in SECRETS:
        assert secret not in shown.lower()
    sent = json.loads(body)
    if "event" not in sent:
        return
    assert told.shown["event"] == sent["event"]
    assert told.shown["timestamp"] == sent["timestamp"]
    assert told.shown["data"].keys() == sent["data"].keys()
    for name in ("website_id", "session_id", "people_id", "fingerprint"):
        if name in sent["data"]:
            assert told.shown["data"][name] == sent["data"][name]


def body_of(**data: Any) -> bytes:
    return orjson.dumps({"website_id": SITE, "event": "x:y", "data": data, "timestamp": 1})


def test_marks_keep_type_and_length() -> None:
    shown = redact(
        body_of(content="a" * 42, email="é", phone=4915100, odd=True, geo=[1.5], n=None)
    ).shown
    assert shown["data"] == {
        "content": "‹text, 42 characters›", "email": "‹text, 1 character›",
        "phone": "‹number, 7 characters›", "odd": "‹yes or no›", "geo": ["‹number, 3 characters›"],
        "n": None,
    }  # fmt: skip


def test_free_data_shows_nothing_under_known_names() -> None:
    free = {"type": "text", "user_id": SITE, "timestamp": 4915, "state": "resolved", "read": True,
            "ann@acme.example": 1, "update": {"timestamp": 5}}  # fmt: skip
    for name in ("data", "content", "company", "person"):
        shown = redact(body_of(**{name: free})).shown["data"][name]
        told = orjson.dumps(shown).decode()
        for secret in ("resolved", SITE, "4915", "true", "ann@", ":5"):
            assert secret not in told
        assert list(shown)[:5] == list(free)[:5]


def test_a_known_name_with_a_strange_value_is_hidden() -> None:
    data = {"user_id": "ann@acme.example", "type": "Ann Example", "session_id": "call me",
            "state": "ann", "origin": "urn:crisp.im:whatsapp:4915112345", "fingerprint": "x"}  # fmt: skip
    assert all(str(v).startswith("‹text") for v in redact(body_of(**data)).shown["data"].values())


@pytest.mark.parametrize(
    "body", [b"\xff\xfe secret words", b'{"a":', b"", b"[" * 100_000, b'{"a":NaN}']
)
def test_unreadable_bodies_show_their_size_and_first_bytes(body: bytes) -> None:
    told = redact(body)
    assert (told.size, told.shown) == (len(body), None)
    assert told.head == body[:16].hex(" ")


@pytest.mark.parametrize("body", [b'"ann@acme.example"', b"[1,2]", b"12345", b"null", b"true"])
def test_what_is_no_object_is_a_mark(body: bytes) -> None:
    assert str(redact(body).shown).startswith("‹")


def test_large_bodies_are_cut() -> None:
    wide = {f"k{n}": "v" for n in range(5_000)}
    deep: Any = "secret"
    for _ in range(200):
        deep = {"x": deep}
    shown = redact(body_of(wide=wide, deep=deep, many=list(range(3_000)))).shown["data"]
    assert len(shown["wide"]) == 101
    assert shown["many"][-1] == "‹2,900 more›"
    assert "secret" not in orjson.dumps(shown).decode()


_text = st.text(min_size=3).filter(lambda t: t not in {"data", "timestamp"})
_json = st.recursive(
    st.none() | st.booleans() | st.integers(10_000, 10**15) | _text,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["data", "content", "user", "update", "x"]), _json))
def test_no_text_of_anybody_comes_through(data: dict[str, Any]) -> None:
    told: list[Any] = []

    def values(of: Any) -> None:
        if isinstance(of, dict):
            for inner in of.values():
                values(inner)
        elif isinstance(of, list):
            for inner in of:
                values(inner)
        elif isinstance(of, str):
            told.append(of)

    values(redact(body_of(**data)).shown["data"])
    assert all(text.startswith("‹") or text == "…" for text in told)
