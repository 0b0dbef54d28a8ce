"""`/syncs`: what runs, what ran, and one run with its failed records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from app import clock
from app.db.keyset import read_cursor
from app.errors import NotFound
from app.pages import queries_syncs as queries
from app.pages.access import viewer
from app.pages.frame import Frame, Visit, database_of, visit
from app.pages.ids import known_id
from app.pages.parts import QuotaNow, quota_now
from app.pages.rendering import fragment
from app.pages.run_words import view_run
from app.pages.times import Moments
from app.sync.drift import PATHS_IN_WORDS, WHAT_IN_WORDS

router = APIRouter(dependencies=[Depends(viewer)])

TICK_SECONDS = 1.0
STREAM_SECONDS = 20
"""A stream ends before a server that is told to stop would lose patience; browsers come back."""


@router.get("/syncs")
async def sync_list(request: Request) -> Response:
    quota = await quota_now(request)
    async with visit(request) as page:
        context = await list_context(page)
    return page.show("syncs.html", quota=quota, **context)


async def list_context(page: Visit) -> dict[str, Any]:
    """What the list shows around the form; the form's preview shows the same list."""
    moments = page.frame.moments
    text = page.request.query_params.get("cursor", "")
    cursor = read_cursor(text, queries.RUNS_ORDER)
    runs = await queries.unfinished_runs(page.connection, page.website_id)
    finished = await queries.finished_runs(page.connection, page.website_id, cursor)
    return {
        "live": [view_run(row, moments) for row in runs],
        "finished": finished,
        "lines": [view_run(row, moments) for row in finished.rows],
        "lost_place": bool(text) and cursor is None,
        "first": "",
        "last": "",
        "cost": None,
        "trouble": "",
    }


@router.get("/syncs/{run_id}")
async def sync_run(request: Request, run_id: str) -> Response:
    quota = await quota_now(request)
    async with visit(request) as page:
        row = await _require(page, run_id)
        text = request.query_params.get("cursor", "")
        cursor = read_cursor(text, queries.FAILURES_ORDER)
        failures = await queries.failures_of(page.connection, page.website_id, row.id, cursor)
        failed = await queries.count_failures(page.connection, page.website_id, row.id)
        findings = []
        if row.kind == "audit":
            findings = list(await queries.findings_of(page.connection, page.website_id, row.id))
    run = view_run(row, page.frame.moments)
    return page.show(
        "sync.html", run=run, is_audit=row.kind == "audit", findings=findings, drifted=row.counts.get("drifted"), failures=failures, failed=failed, quota=quota,
        lost_place=bool(text) and cursor is None, what_in_words=WHAT_IN_WORDS, paths_in_words=PATHS_IN_WORDS,
    )  # fmt: skip


async def _require(page: Visit, run_id: str) -> Any:
    row = None
    if known_id(run_id):
        row = await queries.get_run(page.connection, page.website_id, run_id)
    if row is None:
        raise NotFound("There is no such sync in this website.")
    return row


@router.get("/syncs/{run_id}/events")
async def sync_events(request: Request, run_id: str) -> Response:
    """Server-sent events: `card` with the card's HTML whenever it changed, `end` after the last."""
    async with visit(request) as page:
        await _require(page, run_id)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    stream = _cards(request, page.frame, page.website_id, run_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _cards(
    request: Request, frame: Frame, website_id: str, run_id: str
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    until = loop.time() + STREAM_SECONDS
    sent = ""
    while loop.time() < until and not await request.is_disconnected():
        card, live = await _card(request, frame, website_id, run_id)
        if card != sent:
            yield format_sse_event(event="card", data_str=card, retry=1_000)
            sent = card
        if not live:
            yield format_sse_event(event="end", data_str="finished")
            return
        await asyncio.sleep(TICK_SECONDS)


async def _card(request: Request, frame: Frame, website_id: str, run_id: str) -> tuple[str, bool]:
    quota: QuotaNow | None = await quota_now(request)
    async with database_of(request).read() as connection:
        row = await queries.get_run(connection, website_id, run_id)
    if row is None:
        return "", False
    moments = Moments(frame.moments.zone, clock.now())
    run = view_run(row, moments)
    return fragment("run_card.html", frame.at(moments), run=run, quota=quota), run.live
