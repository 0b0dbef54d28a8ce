"""`/`: is everything in order, and who waits for an answer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.pages import queries_conversations, queries_overview, queries_syncs
from app.pages.charts import weekly_chart
from app.pages.frame import visit
from app.pages.parts import quota_now
from app.pages.run_words import view_run

router = APIRouter()

ROWS = 8
WEEKS = 12


@router.get("/")
async def overview(request: Request) -> Response:
    quota = await quota_now(request)
    async with visit(request) as page:
        connection, website_id, moments = page.connection, page.website_id, page.frame.moments
        totals = await queries_overview.totals(connection, website_id)
        waiting = await queries_overview.longest_waiting(connection, website_id, ROWS)
        waiting_count = await queries_overview.count_waiting(connection, website_id)
        newest = await queries_conversations.newest(connection, website_id, (), ROWS)
        shown = {row.id for row in (*waiting, *newest.rows)}
        owners = await queries_conversations.companies_of(connection, website_id, shown)
        weeks = moments.weeks(WEEKS)
        opened = await queries_conversations.per_week(connection, website_id, (), moments, weeks)
        finished = await queries_syncs.last_finished(connection, website_id)
    runs = [view_run(run, moments) for run in page.frame.runs]
    return page.show(
        "overview.html",
        totals=totals,
        waiting=waiting,
        waiting_count=waiting_count,
        newest=newest.rows,
        owners=owners,
        chart=weekly_chart(weeks, opened, page.frame.url),
        live=[run for run in runs if run.live],
        last=view_run(finished, moments) if finished else None,
        quota=quota,
    )
