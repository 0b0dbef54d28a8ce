"""`/`: is everything in order, who waits for an answer, and who writes most."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from app.insights.keep import read_changed
from app.insights.risk import accounts_at_a_glance
from app.pages import queries_conversations, queries_figures
from app.pages import queries_overview as queries
from app.pages.access import viewer
from app.pages.charts import opened_chart
from app.pages.frame import Frame, Visit, visit_with_two
from app.pages.parts import quota_now
from app.pages.run_words import view_run

router = APIRouter(dependencies=[Depends(viewer)])

ROWS = 8
DAYS = 30
BUSIEST = 6
AT_RISK = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps; `href` leads to where it is done."""

    done: bool
    title: str
    words: str
    href: str = ""


@router.get("/")
async def overview(request: Request) -> Response:
    quota = await quota_now(request)
    async with visit_with_two(request) as (page, beside):
        changed = await read_changed(page.connection, page.website_id)
        companies = asyncio.create_task(read_companies(beside, page, changed))
        content = asyncio.create_task(read_content(page, changed))
        await asyncio.gather(companies, content, return_exceptions=True)
    live = [run for run in (view_run(r, page.frame.moments) for r in page.frame.runs) if run.live]
    context = {**content.result(), **companies.result(), "live": live, "quota": quota}
    return page.show("overview.html", **context)


async def read_companies(
    connection: AsyncConnection, page: Visit, changed: Collection[str] | None
) -> dict[str, Any]:
    """The accounts at risk, and the busiest companies."""
    at_risk, busiest = await accounts_at_a_glance(
        connection,
        page.website_id,
        page.frame.moments.now,
        changed,
        at_risk=AT_RISK,
        busiest=BUSIEST,
    )
    return {"at_risk": at_risk, "busiest": busiest}


async def read_content(page: Visit, changed: Collection[str] | None) -> dict[str, Any]:
    """What the page shows besides the frame's own and what it tells of companies."""
    connection, website_id, moments = page.connection, page.website_id, page.frame.moments
    days = moments.days(DAYS)
    opened = await queries_figures.opened_in(connection, website_id, moments, days)
    # It is drawn while the database counts.
    drawn = asyncio.create_task(asyncio.to_thread(opened_chart, days, opened, page.frame.url))
    totals = await queries.totals(connection, website_id)
    waiting, newest = await queries.waiting_and_newest(connection, website_id, ROWS, changed)
    shown = {row.id for row in (*waiting, *newest)}
    owners = await queries_conversations.companies_of(connection, website_id, shown)
    finished = await queries.last_runs(connection, website_id)
    last = {part: view_run(run, moments) for part, run in finished.items()}
    return {
        "totals": totals,
        "waiting": waiting,
        "waiting_count": waiting[0].waiting_count if waiting else 0,
        "newest": newest,
        "owners": owners,
        "chart": await drawn,
        "last": last,
        "steps": first_steps(page.frame, totals, "sync" in last),
    }


def first_steps(frame: Frame, totals: Any, imported: bool) -> list[Step]:
    """What is left to do before the pages show everything; empty when nothing is."""
    connected = frame.website is not None and frame.website.status == "connected"
    steps = [
        Step(connected, "Connect the website", "crispsync may read it with the plugin’s token."),
        Step(
            totals.last_hook is not None,
            "Let web hooks arrive",
            "Enter the address in Crisp’s Marketplace; then pages are up to date within seconds.",
            "/events",
        ),
        Step(
            imported,
            "Import everything once",
            "All people, then all conversations, newest first: useful within minutes.",
            "/syncs",
        ),
    ]
    return [] if all(step.done for step in steps) else steps
