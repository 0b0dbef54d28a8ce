"""What the pages show over one small world, on both databases (SPEC V1, V2, V3, V5, V6)."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy import update

from app.conversations.tables import messages
from app.db.session import Database
from app.errors import Refused
from app.records import conversation_id
from app.websites.tables import websites
from tests.hooking import hooked, sent
from tests.ingesting import Site
from tests.pages import rows
from tests.pages.conftest import Stand
from tests.pages.rows import OTHER_SITE, SITE, put, small_world

pytestmark = pytest.mark.asyncio

PAGES = (
    "/", "/contacts", "/contacts/ann", "/contacts/bob", "/companies", "/companies/acme",
    "/conversations", "/conversations/talk", "/conversations/lost", "/unmatched", "/syncs",
    "/syncs/run", "/search", "/search?q=acme",
)  # fmt: skip


async def test_without_a_website_every_page_says_how_to_begin(client: httpx.AsyncClient) -> None:
    for path in ("/", "/contacts", "/conversations", "/unmatched", "/syncs", "/contacts/x"):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert "crispsync connect WEBSITE_ID" in answer.text


async def test_a_new_website_says_what_to_do_next(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, [rows.website()])
    for path, words in (
        ("/", "Start the first sync"),
        ("/contacts", "No contacts yet"),
        ("/companies", "No companies yet"),
        ("/conversations", "No conversations yet"),
        ("/unmatched", "Every conversation has its contact"),
        ("/syncs", "No sync has finished yet"),
    ):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert words in answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_answers(db: Database, client: httpx.AsyncClient, path: str) -> None:
    await put(db, small_world())
    answer = await client.get(path)
    assert answer.status_code == 200
    assert "Acme Chat" in answer.text
    assert 'lang="en"' in answer.text


async def test_overview_counts_and_who_waits(db: Database, client: httpx.AsyncClient) -> None:
    """SPEC V8, waiting: the last word of a person is the visitor's, and it is not resolved."""
    waits = rows.conversation("waits", contact_id="ann", subject="Still waiting")
    resolved = rows.conversation("closed", contact_id="ann", status="resolved", subject="Closed")
    await put(
        db,
        [
            *small_world(),
            waits,
            resolved,
            rows.message("waits", 1, direction="outbound", sent_at=rows.ago(minutes=9)),
            rows.message("waits", 2, sent_at=rows.ago(minutes=8)),
            rows.message(
                "waits", 3, direction="outbound", automated=True, sent_at=rows.ago(minutes=7)
            ),
            rows.message(
                "waits", 4, direction="internal", type="note", sent_at=rows.ago(minutes=6)
            ),
            rows.message("closed", 1, sent_at=rows.ago(minutes=5)),
        ],
    )
    overview = (await client.get("/")).text
    assert "2 conversations wait" in overview  # this one and the unmatched one
    waiting = (await client.get("/conversations?waiting=1")).text
    assert "Still waiting" in waiting
    assert "Refund for order 4471" not in waiting  # answered by a person
    assert "Closed" not in waiting


async def test_conversation_says_why_it_is_here(db: Database, client: httpx.AsyncClient) -> None:
    """SPEC M6, M7."""
    await put(
        db,
        [
            *small_world(),
            rows.conversation(
                "typed", contact_id="ann", match_rule="email", match_value="ann@acme.example",
                match_verified=False, conflicting_contact_id="bob",
            ),
        ],
    )  # fmt: skip
    page = (await client.get("/conversations/typed")).text
    assert "not verified it" in page
    assert "bob@else.example" in page
    lost = (await client.get("/conversations/lost")).text
    assert "Address not known" in lost
    assert "x@nowhere.example" in lost
    talk = (await client.get("/conversations/talk")).text
    session = rows.an_id(SITE, "talk")
    assert f"https://app.crisp.chat/website/{SITE}/inbox/session_{session}/" in talk
    assert "Crisp itself names this person" in talk


async def test_unmatched_leads_to_its_rows(db: Database, client: httpx.AsyncClient) -> None:
    """SPEC V5: by reason and by domain, and each group's link shows exactly its conversations."""
    more = [
        rows.conversation(
            f"u{n}", unmatched_reason="unknown_email", email=f"w{n}@more.example",
            email_norm=f"w{n}@more.example", subject=f"Question {n}",
        )
        for n in range(3)
    ]  # fmt: skip
    await put(db, [*small_world(), *more, rows.conversation("anon", subject="Nobody knows")])
    page = (await client.get("/unmatched")).text
    assert "more.example" in page
    assert "nowhere.example" in page
    assert "Anonymous visitor" in page
    own = (await client.get("/conversations?reason=unknown_email&domain=more.example")).text
    assert "Question 2" in own
    assert "Hello?" not in own
    assert "3 conversations" in own


async def test_other_websites_are_not_here(db: Database, client: httpx.AsyncClient) -> None:
    """FAILURES case 91: ids of another website are not found, its rows are in no list."""
    other = small_world(OTHER_SITE, "z")
    await put(db, [*small_world(), *other])
    for path in ("contacts/zann", "companies/zacme", "conversations/ztalk", "syncs/zrun",
                 "syncs/zrun/events"):  # fmt: skip
        assert (await client.get(f"/{path}")).status_code == 404
        assert (await client.get(f"/{path}?website={SITE}")).status_code == 404
        if not path.endswith("events"):
            assert (await client.get(f"/{path}?website={OTHER_SITE}")).status_code == 200
    for path in ("/", "/contacts", "/companies", "/conversations", "/unmatched", "/syncs",
                 "/search?q=acme", "/conversations?contact=zann", "/conversations?company=zacme",
                 "/contacts?of=zacme"):  # fmt: skip
        text = (await client.get(path)).text
        for foreign in ("zann", "zacme", "ztalk", "zlost", "zrun"):
            assert f"/{foreign}" not in text
    assert (await client.get("/?website=nonsense")).status_code == 404


async def test_links_keep_the_website(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, [*small_world(), *small_world(OTHER_SITE, "z")])
    page = (await client.get(f"/conversations?website={OTHER_SITE}")).text
    assert f"/conversations/ztalk?website={OTHER_SITE}" in page
    assert f'name="website" value="{OTHER_SITE}"' in page


async def test_removed_rows_are_told_from_live_ones(
    db: Database, client: httpx.AsyncClient
) -> None:
    gone = rows.conversation("gone", contact_id="ann", subject="Gone", deleted_at=rows.NOW)
    old = rows.contact("old", name="Old Contact", deleted_at=rows.NOW)
    await put(db, [*small_world(), gone, old])
    assert "Gone" not in (await client.get("/conversations")).text
    assert "Removed in Crisp" in (await client.get("/conversations/gone")).text
    assert "Old Contact" not in (await client.get("/contacts")).text
    assert "Old Contact" in (await client.get("/contacts?deleted=yes")).text


async def test_times_are_in_the_websites_zone(db: Database, client: httpx.AsyncClient) -> None:
    from datetime import UTC, datetime

    winter = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    await put(
        db,
        [
            rows.website(time_zone="Asia/Tokyo"),
            rows.conversation("c", crisp_created_at=winter),
            rows.message("c", 1, sent_at=winter),
        ],
    )
    page = (await client.get("/conversations/c")).text
    assert "Friday, 16 January" in page
    assert ">08:30</time>" in page
    assert "2026-01-15T23:30:00+00:00" in page


async def test_state_and_quota_are_said(
    db: Database, client: httpx.AsyncClient, stand: Stand
) -> None:
    stand.quota_now.paused_until = rows.NOW
    stand.quota_now.reason = "the day's quota is used up"
    await put(
        db,
        [
            rows.website(attention="Crisp refused the credentials."),
            rows.run("r", state="paused", error="The quota of today is used up."),
        ],
    )
    page = (await client.get("/")).text
    assert "Crisp refused the credentials." in page
    assert "3,796 left" in page
    assert "quota is used up" in page


async def test_search_finds_all_kinds_and_marks_the_words(
    db: Database, client: httpx.AsyncClient
) -> None:
    """SPEC V4: names, addresses, companies, subjects and message text; each hit says where it is."""
    early = " ".join(["Before the word that matters comes a long letter."] * 20)
    await put(
        db,
        [
            *small_world(),
            rows.message("talk", 3, f"{early} The acme parcel <b>arrived</b> today."),
            rows.message("talk", 4, "acme parcel, removed", deleted_at=rows.NOW),
            rows.message("talk", 5, "acme in a note", direction="internal", type="note"),
        ],
    )
    page = (await client.get("/search", params={"q": "ACM"})).text
    for section in ("Contacts", "Companies", "Conversations", "Messages"):
        assert f"<h2>{section}</h2>" in page
    assert "ann@<mark>acme</mark>.example" in page
    assert "<mark>Acme</mark> Ltd" in page
    only_text = (await client.get("/search", params={"q": "parcel acme"})).text
    assert "<h2>Contacts</h2>" not in only_text
    assert "… " in only_text
    assert "The <mark>acme</mark> <mark>parcel</mark> &lt;b&gt;arrived&lt;/b&gt;" in only_text
    assert "removed" not in only_text
    assert 'href="/conversations/talk?at=3#m3"' in only_text
    assert "Nothing has all of these words" in (await client.get("/search?q=acme+nowhere2")).text
    listed = (await client.get("/conversations", params={"text": "parcel"})).text
    assert "1 conversation fits" in listed
    assert "in a message: parcel" in listed


async def test_a_link_to_a_message_shows_it_with_its_neighbours(
    db: Database, client: httpx.AsyncClient
) -> None:
    told = [
        rows.message("long", n, f"message number {n};", sent_at=rows.ago(minutes=600 - n))
        for n in range(1, 501)
    ]
    undated = rows.message("long", 900, "nobody knows when", sent_at=None)
    await put(db, [rows.website(), rows.conversation("long", message_count=501), *told, undated])
    newest = (await client.get("/conversations/long")).text
    assert "number 500;" in newest
    assert "number 300;" not in newest
    page = (await client.get("/conversations/long?at=250")).text
    assert all(f"number {n};" in page for n in (100, 250, 280))
    assert not any(f"number {n};" in page for n in (50, 300))
    assert "Earlier messages" in page
    assert "Later messages" in page
    assert "nobody knows when" in (await client.get("/conversations/long?at=900")).text
    lost = (await client.get("/conversations/long?at=77777")).text
    assert "That place in the thread is not known" in lost
    assert "number 500;" in lost


async def test_refresh_now_tells_its_cost_and_asks_once(
    db: Database, client: httpx.AsyncClient, stand: Stand
) -> None:
    """SPEC V1, V3: refresh now, with its cost in requests; a GET spends nothing."""
    await put(db, small_world())
    for folder, key, kind, cost in (
        ("contacts", "ann", "contact", "1 request"),
        ("conversations", "talk", "conversation", "2 requests"),
    ):
        page = (await client.get(f"/{folder}/{key}")).text
        assert f'Refresh now <span class="quiet">{cost}</span>' in page
        assert (await client.get(f"/{folder}/{key}/refresh")).status_code in (404, 405)
        answer = await client.post(f"/{folder}/{key}/refresh")
        assert (answer.status_code, answer.headers["location"]) == (
            303, f"/{folder}/{key}?refreshed=yes",
        )  # fmt: skip
        assert stand.asked.pop()[2:] == (SITE, kind, key)
        assert (
            "Read again from Crisp just now"
            in (await client.get(f"/{folder}/{key}?refreshed=yes")).text
        )
    assert "Refresh now" not in (await client.get("/contacts/bob")).text  # not from Crisp
    stand.refusal = Refused("The quota of today is used up.")
    answer = await client.post("/contacts/ann/refresh")
    assert answer.status_code == 422
    assert "The quota of today is used up." in answer.text
    foreign = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
    assert (await client.post("/contacts/ann/refresh", headers=foreign)).status_code == 403


async def test_where_a_value_comes_from_is_told(db: Database, client: httpx.AsyncClient) -> None:
    """SPEC V1: the source of each field; contact data apart from session data."""
    person = rows.contact(
        "kim", name="Kim", attributes={"job_title": "Buyer", "city": "Ghent", "data.plan": "pro"},
        field_sources={
            "attributes.city": {"source": "csv", "at": rows.ago(days=2).isoformat(), "by": "i1"}
        },
        observed_ms=int(rows.ago(hours=3).timestamp() * 1000),
    )  # fmt: skip
    await put(db, [*small_world(), person])
    page = (await client.get("/contacts/kim")).text
    assert "From Crisp as of" in page
    assert "<bdi>Buyer</bdi></td>" in page
    assert '<bdi>Ghent</bdi> <span class="mark">CSV import, <time' in page
    assert "<h2>Contact data</h2>" in page


async def test_overview_answers_whether_all_is_in_order(
    db: Database, client: httpx.AsyncClient
) -> None:
    """SPEC T2: first steps until they are done; hooks, sync, audit; who writes most."""
    await put(db, small_world())
    before = (await client.get("/")).text
    assert "First steps" in before
    assert 'href="/events">Let web hooks arrive' in before
    audit = rows.run("audit", kind="audit", counts={"checked": 20}, created_at=rows.ago(minutes=5))
    await put(db, [rows.hook_day(last_received_at=rows.ago(minutes=3)), audit])
    after = (await client.get("/")).text
    assert "First steps" not in after
    assert "last one" in after
    assert "<dt>Last audit</dt>" in after
    assert "Busiest companies" in after
    assert 'href="/conversations?company=acme">1</a>' in after
    assert "Numbers by day" in after


@pytest.mark.parametrize("state", ["parked", "new"])
async def test_a_hook_that_is_not_dealt_with_yet_ends_the_step_of_letting_hooks_arrive(
    db: Database, client: httpx.AsyncClient, state: str
) -> None:
    await put(db, [*small_world(), rows.inbox_event("first", state=state, error=None)])
    page = (await client.get("/")).text
    assert 'href="/events">Let web hooks arrive' not in page
    assert "none has arrived" not in page


async def test_waiting_and_freshness_are_in_the_head(
    db: Database, client: httpx.AsyncClient
) -> None:
    waits = rows.message("talk", 3, "Are you there?", sent_at=rows.ago(hours=2))
    bot = rows.message("talk", 4, "We are closed", direction="outbound", automated=True,
                       sent_at=rows.ago(hours=1))  # fmt: skip
    await put(db, [*small_world(), waits, bot])
    page = (await client.get("/conversations/talk")).text
    assert re.search(r"waiting <time[^>]*>2 h</time>", page) is None  # Mira wrote after it
    async with db.write() as connection:
        own = messages.c.fingerprint < 3
        await connection.execute(update(messages).where(own).values(sent_at=rows.ago(hours=3)))
    page = (await client.get("/conversations/talk")).text
    assert re.search(r"waiting <time[^>]*>2 h</time>", page)
    assert re.search(r"as of <time[^>]*>[^<]+</time> by sync", page)


async def test_conversation_that_only_hooks_told_of_has_a_page(
    db: Database, client: httpx.AsyncClient
) -> None:
    await put(db, small_world())
    async with db.write() as connection:
        await connection.execute(update(websites).values(import_conversations=True))
    site = Site(db, SITE)
    body = sent("session_new", 1, "First of all")
    body["website_id"] = body["data"]["website_id"] = SITE
    (event,) = await hooked(site, body)
    assert event.state == "done", event.error
    page = await client.get(f"/conversations/{conversation_id(SITE, 'session_new')}")
    assert page.status_code == 200
    assert "First of all" in page.text
    assert re.search(r"as of <time[^>]*>[^<]+</time> by hook", page.text)
    assert "Known from web hooks alone so far" in page.text


async def test_help_names_keys_and_remedies(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, small_world())
    page = (await client.get("/help")).text
    assert "When contacts or conversations are missing" in page
    assert "<kbd>g</kbd> <kbd>v</kbd>" in page
