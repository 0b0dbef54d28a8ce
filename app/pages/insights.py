"""`/insights`: first response, resolution, waiting and rating by week, operator, company and contact;
the conversations behind each figure; the accounts at risk (SPEC V8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.insights.groups import By
from app.insights.keep import read_changed
from app.insights.risk import (
    BAD_RATING,
    RATED_WITHIN,
    REASONS,
    SILENT_DAYS,
    WAITING_HOURS,
    Limits,
    Reason,
    accounts_at_risk,
)
from app.pages.access import viewer
from app.pages.frame import visit, visit_with_two
from app.pages.insight_figures import Figures, names_companies, read_figures, week_charts
from app.pages.insight_period import BYS, SHOWN
from app.pages.rows import AnyRow
from app.pages.text import one_line
from app.published.conversation_rows import rows_of

router = APIRouter(dependencies=[Depends(viewer)])

FEW = 10
"""Rows of each group where a page shows several."""
ROWS = 50


@dataclass(frozen=True, slots=True)
class Part:
    """A page of a list that is there as a whole."""

    rows: Sequence[Any]
    number: int
    total: int

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number * ROWS < self.total else None


def part_of(rows: Sequence[Any], number: int) -> Part:
    """The last page where there are not so many."""
    number = min(number, max(1, -(-len(rows) // ROWS)))
    return Part(rows[(number - 1) * ROWS : number * ROWS], number, len(rows))


@router.get("/insights")
async def insights(request: Request) -> Response:
    # Another connection only where something is asked over it.
    if names_companies(request.query_params.get("by")):
        async with visit_with_two(request) as (page, beside):
            figures = await read_figures(page, beside=beside)
    else:
        async with visit(request) as page:
            figures = await read_figures(page)
    asked = figures.asked
    shown: tuple[By, ...] = (asked.by,) if asked.by else ("week", "operator", "company")
    groups = {by: figures.groups(by) for by in shown}
    return page.show(
        "insights.html",
        422 if figures.trouble else 200,
        asked=asked,
        figures=figures,
        totals=figures.totals,
        charts=week_charts(page, asked, groups["week"])
        if "week" in groups and not figures.trouble
        else None,
        parts={
            by: _summed_up(
                part_of(rows, asked.page) if asked.by else Part(rows[: _few(by)], 1, len(rows))
            )
            for by, rows in groups.items()
        },
        bys=BYS,
    )


def _summed_up(part: Part) -> Part:
    return replace(part, rows=[group.summed_up for group in part.rows])


def _few(by: By) -> int:
    return ROWS if by == "week" else FEW


@router.get("/insights/conversations")
async def behind(request: Request) -> Response:
    async with visit(request) as page:
        figures = await read_figures(page)
        found = figures.behind
        part = part_of(found, figures.asked.page)
        rows = await read_titles(page.connection, page.website_id, [one.id for one in part.rows])
    return page.show(
        "insight_conversations.html",
        422 if figures.trouble else 200,
        asked=figures.asked,
        figures=figures,
        name=group_name(figures),
        part=part,
        rows=rows,
        shown_words=SHOWN,
    )


def group_name(figures: Figures) -> str:
    """Of the group that was asked for; its key where nothing of it is left."""
    by, key = figures.asked.by, figures.asked.key
    if by is None:
        return ""
    return next((one.name for one in figures.groups(by) if one.key == key), "") or one_line(key, 80)


async def read_titles(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, AnyRow]:
    if not ids:
        return {}
    query = rows_of(website_id).where(conversations.c.id.in_(ids))
    return {row.id: row for row in await connection.execute(query)}


@dataclass(frozen=True, slots=True)
class AskedRisk:
    silent_days: int
    waiting_hours: int
    reason: Reason | None
    page: int

    @property
    def params(self) -> dict[str, str]:
        """What makes this list; what is usual is left out."""
        days, hours = self.silent_days, self.waiting_hours
        return {
            "silent_days": "" if days == SILENT_DAYS else str(days),
            "waiting_hours": "" if hours == WAITING_HOURS else str(hours),
            "reason": self.reason or "",
        }


def read_asked_risk(params: Mapping[str, str]) -> tuple[AskedRisk, list[str]]:
    """With a sentence for each thing that it does not understand."""
    notices: list[str] = []
    reason = params.get("reason", "")
    if reason and reason not in REASONS:
        notices.append(f"There is no reason “{one_line(reason, 40)}”; all accounts are shown.")
    asked = AskedRisk(
        _number(params, "silent_days", (1, 3650), SILENT_DAYS, notices),
        _number(params, "waiting_hours", (0, 8760), WAITING_HOURS, notices),
        next((one for one in get_args(Reason) if one == reason), None),
        _number(params, "page", (1, 9999), 1, []),
    )
    return asked, notices


def _number(
    params: Mapping[str, str], name: str, within: tuple[int, int], usual: int, notices: list[str]
) -> int:
    text, (least, most) = params.get(name, "").strip(), within
    if text.isascii() and text.isdecimal() and least <= int(text[:9]) <= most:
        return int(text)
    if text:
        words = name.replace("_", " ")
        notices.append(f"The {words} are a number from {least} to {most:,}; here they are {usual}.")
    return usual


@router.get("/insights/at-risk")
async def at_risk(request: Request) -> Response:
    asked, notices = read_asked_risk(request.query_params)
    async with visit(request) as page:
        found = await accounts_at_risk(
            page.connection,
            page.website_id,
            page.frame.moments.now,
            await read_changed(page.connection, page.website_id),
            limits=Limits(asked.silent_days, asked.waiting_hours),
            reason=asked.reason,
            start=(asked.page - 1) * ROWS,
            most=ROWS,
        )
    return page.show(
        "at_risk.html",
        asked=asked,
        notices=notices,
        found=found,
        part=Part(found.accounts, asked.page, found.total),
        bad_rating=BAD_RATING,
        rated_days=RATED_WITHIN.days,
    )
