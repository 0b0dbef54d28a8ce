"""Starting, previewing, pausing and watching syncs (SPEC S3, S5, S6), and who may (P4)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import Request
from sqlalchemy import update

from app.db.session import Database
from app.errors import Refused
from app.pages import syncs
from app.sync.tables import audit_findings, sync_runs
from tests.fixtures.people import log_in_as
from tests.pages import rows
from tests.pages.conftest import ORIGIN, Stand, pages_app
from tests.pages.rows import SITE, put, row_of, small_world

pytestmark = pytest.mark.asyncio

OURS = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
BACKFILL = {"kind": "backfill", "first": "2026-01-01", "last": "2026-03-31"}


@pytest.mark.parametrize("kind", ["full", "incremental"])
async def test_start_asks_rings_and_leads_to_the_run(
    db: Database, client: httpx.AsyncClient, stand: Stand, kind: str
) -> None:
    await put(db, small_world())
    answer = await client.post("/syncs", data={"kind": kind}, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/syncs/new-run")
    assert stand.asked == [("request", SITE, kind, "The admin", None, None)]
    assert stand.rung == 1


async def test_backfill_takes_whole_days_of_the_websites_zone(
    db: Database, client: httpx.AsyncClient, stand: Stand
) -> None:
    await put(db, [rows.website(time_zone="Europe/Paris")])
    await client.post("/syncs", data=BACKFILL, headers=OURS)
    start, end = stand.asked[0][4:]
    assert start == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert end == datetime(2026, 3, 31, 22, tzinfo=UTC)  # summer time began meanwhile


async def test_preview_answers_before_the_button_is_live(
    db: Database, client: httpx.AsyncClient, stand: Stand
) -> None:
    await put(db, small_world())
    before = (await client.get("/syncs")).text
    assert '<button class="button primary" disabled>Start backfill' in before
    answer = await client.post("/syncs/preview", data=BACKFILL, headers=OURS)
    assert answer.status_code == 200
    assert "at least 1,840" in answer.text
    assert "at least 2,210" in answer.text
    assert "less than a day" in answer.text
    assert '<button class="button primary">Start backfill' in answer.text
    assert 'name="first" value="2026-01-01"' in answer.text
    assert [what for what, *_ in stand.asked] == ["preview"]
    assert stand.rung == 0


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("", "", "needs two dates"),
        ("yesterday", "2026-01-01", "needs two dates"),
        ("2026-02-30", "2026-03-01", "needs two dates"),
        ("2026-02-02", "2026-02-01", "before the first"),
        ("2090-01-01", "2090-02-01", "in the future"),
    ],
)
async def test_wrong_dates_are_said(
    db: Database, client: httpx.AsyncClient, stand: Stand, first: str, last: str, words: str
) -> None:
    await put(db, small_world())
    data = {"kind": "backfill", "first": first, "last": last}
    for path in ("/syncs", "/syncs/preview"):
        answer = await client.post(path, data=data, headers=OURS)
        assert answer.status_code == 422
        assert words in answer.text
    assert stand.asked == []


async def test_refusals_are_sentences(
    db: Database, client: httpx.AsyncClient, stand: Stand
) -> None:
    await put(db, small_world())
    stand.refusal = Refused("The connection of this website is paused: resume it first.")
    for path, data in (("/syncs", {"kind": "full"}), ("/syncs/preview", BACKFILL),
                       ("/syncs/run/pause", {})):  # fmt: skip
        answer = await client.post(path, data=data, headers=OURS)
        assert answer.status_code == 422
        assert "resume it first" in answer.text
    assert stand.rung == 0


async def test_pause_cancel_resume(db: Database, client: httpx.AsyncClient, stand: Stand) -> None:
    await put(db, small_world())
    for what in ("pause", "cancel", "resume"):
        answer = await client.post(f"/syncs/run/{what}", headers=OURS)
        assert (answer.status_code, answer.headers["location"]) == (303, "/syncs/run")
    assert stand.asked == [(w, SITE, "run") for w in ("pause", "cancel", "resume")]
    assert stand.rung == 1
    assert (await client.post("/syncs/run/explode", headers=OURS)).status_code == 404
    assert (await client.post("/syncs", data={"kind": "magic"}, headers=OURS)).status_code == 422


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}, True),
        ({"Origin": ORIGIN}, True),
        ({}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://127.0.0.1:9"}, False),
        ({"Origin": "https://evil.example"}, False),
    ],
)
async def test_only_our_own_forms_change_anything(
    db: Database, client: httpx.AsyncClient, stand: Stand, headers: dict[str, str], allowed: bool
) -> None:
    await put(db, small_world())
    for path in ("/syncs", "/syncs/preview", "/syncs/run/pause"):
        answer = await client.post(path, data=BACKFILL, headers=headers)
        assert (answer.status_code == 403) is not allowed
        if not allowed:
            assert "came from another site" in answer.text
    assert bool(stand.asked) is allowed


async def test_a_foreign_name_is_refused(db: Database, client: httpx.AsyncClient) -> None:
    """DNS rebinding: a name of somebody else that leads to this machine."""
    await put(db, small_world())
    for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.7", "", "[::2]", "a b"):
        answer = await client.get("/contacts", headers={"Host": host})
        assert answer.status_code == 403
        assert "do not answer to that name" in answer.text
        assert "Ann" not in answer.text
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "crispsync.localhost"):
        assert (await client.get("/contacts", headers={"Host": host})).status_code == 200


async def test_case_092_headers_are_on_every_answer(
    db: Database, client: httpx.AsyncClient
) -> None:
    await put(db, small_world())
    for path in ("/", "/nowhere", "/static/style.css", "/contacts/none", "/syncs/run/events"):
        headers = (await client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_events_carry_the_card_until_the_end(
    db: Database, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncs, "TICK_SECONDS", 0)
    monkeypatch.setattr(syncs, "STREAM_SECONDS", 600)
    counts = {"threads_done": 10, "threads_total": 40}
    live = rows.run("live", state="running", counts=counts, checkpoint={"stage": "messages"})
    await put(db, [rows.website(), live])
    rounds = iter(range(1, 100))

    # The test's transport says that the client has gone as soon as the request is read. Asked before
    # each card, so the run ends after the first was sent, however slow the machine is.
    async def stays(_request: Request) -> bool:
        if next(rounds) == 2:
            async with db.write() as connection:
                values = {"state": "done", "finished_at": rows.NOW, "started_at": rows.NOW}
                await connection.execute(update(sync_runs).values(**values))
        return False

    monkeypatch.setattr(Request, "is_disconnected", stays)
    answer = await client.get("/syncs/live/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    text = answer.text
    assert text.count("event: card") == 2
    assert "10 of 40" in text
    assert text.rstrip().endswith("data: finished")


async def test_a_running_card_tells_all(db: Database, client: httpx.AsyncClient) -> None:
    counts = {"people_done": 2019, "people_total": 2019, "conversations_done": 400,
              "conversations_total": 4900, "failed": 3}  # fmt: skip
    live = rows.run(
        "live", state="running", requests=512, counts=counts, started_by="schedule",
        started_at=rows.ago(minutes=10), checkpoint={"stage": "conversations"},
    )  # fmt: skip
    await put(db, [rows.website(), live])
    page = (await client.get("/syncs/live")).text
    for words in ("Reading the list of conversations", "400 of about 4,900", "2,019 of 2,019",
                  "a minute", "left", "512 requests used", "3,796 left today", "3 failed",
                  "/syncs/live/pause", "/syncs/live/cancel", "schedule", 'http-equiv="refresh"'):  # fmt: skip
        assert words in page, words


async def test_a_fault_is_a_page_too(
    db: Database, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(db, small_world())

    async def broken() -> None:
        raise RuntimeError("secret detail")

    stand.quota = broken  # type: ignore[method-assign, assignment]
    transport = httpx.ASGITransport(pages_app(db, stand), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        (await log_in_as(db)).give(client)
        answer = await client.get("/")
    assert answer.status_code == 500
    assert "Nothing was changed" in answer.text
    assert "secret detail" not in answer.text
    assert "content-security-policy" in answer.headers


async def test_each_finding_of_an_audit_is_shown_with_the_path_that_missed_it(
    db: Database, client: httpx.AsyncClient
) -> None:  # SPEC S8
    def finding(run_id: str, kind: str, what: str, missed_by: str, repaired: bool) -> Any:
        return row_of(
            audit_findings, website_id=SITE, run_id=run_id, kind=kind, what=what,
            external_id=f"{kind}-{what}-{missed_by}", missed_by=missed_by, repaired=repaired,
            found_at=rows.NOW,
        )  # fmt: skip

    counts = {"drifted": 4, "repaired": 3}
    await put(
        db,
        [
            *small_world(),
            rows.run("audit", kind="audit", counts=counts, created_at=rows.ago(minutes=5)),
            rows.run("other", kind="audit", counts={"drifted": 1, "repaired": 1}),
            finding("audit", "message", "changed", "hook", True),
            finding("audit", "message", "removed", "hook", True),
            finding("audit", "conversation", "missing", "incremental", True),
            finding("audit", "contact", "missing", "full", False),
            finding("other", "contact", "changed", "full", True),
        ],
    )
    page = (await client.get("/syncs/audit")).text
    table = page[page.index("What differed from Crisp") : page.index("Failed records")]
    cells = re.findall(r"<tr>(<td>.*?)</tr>", table)
    found = [re.sub(r"<svg.*?</svg>|<[^>]+>", "|", row) for row in cells]
    assert [[cell for cell in row.split("|") if cell] for row in found] == [
        ["contact", "contact-missing-full", "missing here", "full sync", "not repaired"],
        [
            "conversation",
            "conversation-missing-incremental",
            "missing here",
            "incremental sync",
            "repaired",
        ],
        ["message", "message-changed-hook", "different here", "web hook", "repaired"],
        ["message", "message-removed-hook", "removed in Crisp", "web hook", "repaired"],
    ]
    assert "4 differed, 3 of them repaired" in page
    assert "4 differed, 3 of them repaired" in (await client.get("/syncs")).text
