"""Web hooks on the pages: how they arrive, what could not be applied, replaying it (SPEC V6, T2, P7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.db.session import Database
from app.pages import event_words
from app.webhooks.tables import hook_refusals, inbox_events
from app.webhooks.wanted import EVENTS_TO_TICK
from app.websites.tables import missed_hooks
from tests.fixtures.people import log_in_as
from tests.pages import rows
from tests.pages.conftest import Stand, pages_app
from tests.pages.rows import OTHER_SITE, put, row_of, small_world
from tests.pages.test_pages_hostile import NONSENSE, PAYLOADS, acted_upon
from tests.pages.test_pages_paging import ids_in, walk

pytestmark = pytest.mark.asyncio

OURS = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}


def event_id(key: object) -> str:
    return str(rows.inbox_event(key)[1]["id"])


async def states(db: Database) -> dict[str, str]:
    async with db.read() as connection:
        found = await connection.execute(select(inbox_events.c.id, inbox_events.c.state))
        return {row.id: row.state for row in found}


async def test_before_any_hook_it_says_what_to_do(
    db: Database, client: httpx.AsyncClient
) -> None:  # SPEC H2
    await put(db, [rows.website()])
    page = (await client.get("/events")).text
    assert "No web hook has arrived yet" in page
    assert "http://127.0.0.1:8000/webhooks/crisp" in page
    for event in EVENTS_TO_TICK:
        assert event in page


async def test_the_address_is_the_public_one(db: Database) -> None:
    await put(db, [rows.website()])
    app: FastAPI = pages_app(db, Stand())
    app.state.public_url = "https://sync.acme.example/"
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        (await log_in_as(db)).give(client)
        page = (await client.get("/events")).text
    assert "https://sync.acme.example/webhooks/crisp" in page


async def test_refusals_before_any_hook_are_told(db: Database, client: httpx.AsyncClient) -> None:
    refusal = row_of(hook_refusals, cause="wrong signature", refused=7, last_at=rows.NOW)
    await put(db, [rows.website(), refusal])
    page = (await client.get("/events")).text
    assert "Deliveries were refused" in page
    assert "wrong signature" in page


async def test_health_per_event_name(db: Database, client: httpx.AsyncClient) -> None:
    yesterday = (rows.NOW - timedelta(days=1)).date().isoformat()
    await put(
        db,
        [
            *small_world(),
            rows.hook_day(
                arrived=1200, ignored=3, dead=2, repeated_first=4, last_received_at=rows.NOW
            ),
            rows.hook_day(day=yesterday, arrived=34),
            rows.hook_day("people:bind:session", arrived=5, delays={}),
            rows.hook_day("session:removed", site=OTHER_SITE),
            row_of(hook_refusals, cause="too large", refused=2, last_at=rows.NOW),
            row_of(missed_hooks, website_id=rows.SITE, day=yesterday, kind="message", missed=6),
        ],
    )
    page = (await client.get("/events")).text
    for words in ("1,234", "people:bind:session", "too large", "6 messages", yesterday):
        assert words in page, words
    assert 'aria-current="page"' in page
    assert "state=ignored&amp;event=message%3Asend" in page
    unseen = page.split("did not arrive in these days")[1].split("</ul>")[0]
    assert "session:removed" in unseen
    assert "message:send" not in unseen


async def test_dead_letters_with_reason_attempts_and_count(
    db: Database, client: httpx.AsyncClient
) -> None:
    await put(db, [*small_world(), rows.inbox_event(1), rows.inbox_event(2, site=None, event=""),
                   rows.inbox_event(3, state="done")])  # fmt: skip
    page = (await client.get("/events")).text
    assert ids_in(page, "events") == sorted([event_id(1), event_id(2)], reverse=True)
    for words in ("its fingerprint is no 64-bit number", "5 attempts", "unreadable",
                  "of no known website", "Replay all of these"):  # fmt: skip
        assert words in page
    for path in ("/", "/contacts"):
        other = (await client.get(path)).text
        assert '2<span class="hidden"> dead</span>' in other


async def test_filters_stand_in_the_address(db: Database, client: httpx.AsyncClient) -> None:
    await put(
        db,
        [
            *small_world(), rows.inbox_event(1, received_at=rows.ago(days=3)),
            rows.inbox_event(2, event="people:bind:session"), rows.inbox_event(3, state="done"),
            rows.inbox_event(4, state="new"), rows.inbox_event(5, state="parked", site=None),
        ],
    )  # fmt: skip
    day = (rows.NOW - timedelta(days=3)).date().isoformat()
    for query, keys in (
        ("", {1, 2}), ("state=done", {3}), ("state=new", {4}), ("state=parked", {5}),
        ("state=all", {1, 2, 3, 4, 5}), ("event=people:bind:session", {2}),
        (f"to={day}", {1}), (f"from={day}&to={day}", {1}), (f"state=all&from={day}", {1, 2, 3, 4, 5}),
        ("state=ignored", set()),
    ):  # fmt: skip
        page = (await client.get(f"/events?{query}")).text
        assert set(ids_in(page, "events")) == {event_id(key) for key in keys}, query
    assert "Nothing was ignored" in (await client.get("/events?state=ignored")).text
    page = (await client.get("/events?state=purple&from=May&cursor=zz")).text
    for words in ("no state “purple”", "2026-01-31", "first page"):
        assert words in page


async def test_keyset_both_ways(db: Database, client: httpx.AsyncClient) -> None:
    many = [rows.inbox_event(n, received_at=rows.ago(hours=n % 9)) for n in range(63)]
    await put(db, [*small_world(), *many])
    forth = await walk(client, "/events", "events", "next")
    assert [len(page) for page in forth] == [25, 25, 13]
    assert len({row for page in forth for row in page}) == 63
    text = (await client.get("/events")).text
    last = text
    while 'rel="next"' in last:
        href = last.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
        last = (await client.get(href)).text
    href = last.split('rel="prev" href="')[1].split('"')[0].replace("&amp;", "&")
    assert ids_in((await client.get(href)).text, "events") == forth[1]


def said(**data: Any) -> bytes:
    body = {
        "website_id": rows.SITE,
        "event": "message:send",
        "data": data,
        "timestamp": 1641206011000,
    }
    return orjson.dumps(body)


async def test_one_event_with_what_may_be_seen(db: Database, client: httpx.AsyncClient) -> None:
    secret = "Please call Ann Example at ann@acme.example"
    body = said(content=secret, fingerprint=163239623329114, user={"nickname": "Ann Example"})
    await put(db, [*small_world(), rows.inbox_event(1, body=body, deliveries=3, first_attempt=2)])
    page = (await client.get(f"/events/{event_id(1)}")).text
    for words in ("163239623329114", "‹text, 43 characters›", "its fingerprint is no 64-bit",
                  "Crisp’s attempt 2", "1641206011000", ">Replay</button>"):  # fmt: skip
        assert words in page, words
    for words in ("ann@acme", "Please call", "Ann Example"):
        assert words not in page


async def test_unreadable_and_gone_bodies(db: Database, client: httpx.AsyncClient) -> None:
    await put(
        db,
        [*small_world(), rows.inbox_event(1, body=b"\xffsecret words and more of them"),
         rows.inbox_event(2, body=None)],
    )  # fmt: skip
    page = (await client.get(f"/events/{event_id(1)}")).text
    assert "30 bytes that are no JSON. It begins with the bytes ff 73 65" in page
    assert "secret words" not in page
    page = (await client.get(f"/events/{event_id(2)}")).text
    assert "no longer kept" in page
    assert "/replay" not in page


async def test_case_091_events_of_another_website(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, [*small_world(), *small_world(OTHER_SITE, "other-"),
                   rows.inbox_event(1, site=OTHER_SITE)])  # fmt: skip
    assert ids_in((await client.get("/events")).text, "events") == []
    assert (await client.get(f"/events/{event_id(1)}")).status_code == 404
    answer = await client.post(f"/events/{event_id(1)}/replay", headers=OURS)
    assert answer.status_code == 404
    await client.post("/events/replay", data={"state": "dead"}, headers=OURS)
    assert await states(db) == {event_id(1): "dead"}
    theirs = f"/events?website={OTHER_SITE}"
    assert ids_in((await client.get(theirs)).text, "events") == [event_id(1)]


async def test_replay_one_says_what_happened(db: Database) -> None:
    await put(db, [*small_world(), rows.inbox_event(1), rows.inbox_event(2)])
    app, rung = pages_app(db, Stand()), []
    app.state.hook_bell = lambda: rung.append(1)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        (await log_in_as(db)).give(client)
        answer = await client.post(f"/events/{event_id(1)}/replay", headers=OURS)
        assert answer.status_code == 303
        page = (await client.get(answer.headers["location"])).text
        assert "1 event was put back" in page
        again = await client.post(f"/events/{event_id(1)}/replay", headers=OURS)
        assert "Nothing was put back" in (await client.get(again.headers["location"])).text
    assert await states(db) == {event_id(1): "new", event_id(2): "dead"}
    assert len(rung) == 2


async def test_replay_all_of_a_filter(db: Database, client: httpx.AsyncClient) -> None:
    await put(
        db,
        [*small_world(), rows.inbox_event(1), rows.inbox_event(2, event="people:bind:session"),
         rows.inbox_event(3, body=None), rows.inbox_event(4, state="done")],
    )  # fmt: skip
    data = {"event": "message:send"}
    answer = await client.post("/events/replay", data=data, headers=OURS)
    assert answer.status_code == 303
    assert "event=message%3Asend" in answer.headers["location"]
    page = (await client.get(answer.headers["location"])).text
    assert "1 event was put back" in page
    assert "1 was left alone" in page
    assert await states(db) == {
        event_id(1): "new", event_id(2): "dead", event_id(3): "dead", event_id(4): "done"
    }  # fmt: skip
    today = rows.NOW.date().isoformat()
    data = {"state": "all", "from": (rows.NOW - timedelta(days=1)).date().isoformat(), "to": today}
    await client.post("/events/replay", data=data, headers=OURS)
    assert set((await states(db)).values()) == {"new", "dead"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"state": "new"}, "applied by itself"),
        ({"state": "all"}, "Choose the first day"),
        ({"state": "done"}, "Choose the first day"),
        ({"state": "purple"}, "Nothing was replayed"),
        ({"from": "May"}, "Nothing was replayed"),
        ({"event": "x\x00"}, "Nothing was replayed"),
    ],
)
async def test_replays_that_cannot_be_meant(
    db: Database, client: httpx.AsyncClient, data: dict[str, str], words: str
) -> None:
    await put(db, [*small_world(), rows.inbox_event(1), rows.inbox_event(2, state="done")])
    answer = await client.post("/events/replay", data=data, headers=OURS)
    assert answer.status_code == 422
    assert words in answer.text
    assert set((await states(db)).values()) == {"dead", "done"}


async def test_replays_come_from_these_pages_only(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, [*small_world(), rows.inbox_event(1)])
    for path in ("/events/replay", f"/events/{event_id(1)}/replay"):
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await client.post(path, headers=headers)).status_code == 403
        assert (await client.get(path)).status_code in {404, 405}
    assert await states(db) == {event_id(1): "dead"}


@pytest.mark.parametrize("bad", PAYLOADS)
async def test_case_068_payloads_in_hooks_stay_text(
    db: Database, client: httpx.AsyncClient, bad: str
) -> None:
    bodies = (said(**{bad: bad, "user_id": bad, "data": {bad: bad}}), bad.encode())
    await put(
        db,
        [*small_world(), rows.hook_day(bad),
         *(rows.inbox_event(n, event=bad, error=bad, site=None, body=body)
           for n, body in enumerate(bodies)),
         row_of(hook_refusals, cause=bad, refused=1, last_at=rows.NOW)],
    )  # fmt: skip
    for path in (
        "/events",
        "/events?state=all",
        f"/events/{event_id(0)}",
        f"/events/{event_id(1)}",
    ):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert acted_upon(answer.text) == [], path
        assert "\u202e" not in answer.text


async def test_nonsense_in_the_address(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, [*small_world(), rows.inbox_event(1)])
    names = ("state", "event", "from", "to", "cursor", "size", "sort", "replayed", "bodiless")
    for value in (*NONSENSE, *PAYLOADS):
        for params in (dict.fromkeys(names, value), *({name: value} for name in names)):
            answer = await client.get("/events", params=params)
            assert answer.status_code == 200
            assert acted_upon(answer.text) == []
    for value in ("\x00", "🦊", "a" * 3000, "0" * 64):
        assert (await client.get(f"/events/{quote(value, safe='')}")).status_code == 404


@pytest.mark.parametrize(
    ("ms", "words"),
    [(None, "–"), (40.4, "40 ms"), (3_210, "3.2 s"), (12_000, "12 s"), (5_400_000, "1 h 30 min")],
)
async def test_delays_in_words(ms: float | None, words: str) -> None:
    assert event_words.delay(ms) == words


async def test_capped_counts_say_so() -> None:
    assert (event_words.capped(12), event_words.capped(10_000)) == ("12", "10,000+")
    assert event_words.counted_everywhere(1_000) == "1,000+"
