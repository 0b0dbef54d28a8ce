"""`/insights.csv`, `/insights/conversations.csv`, `/insights/at-risk.csv`: what those pages show, all of it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request, Response

from app.insights.groups import GroupFigures, Opened
from app.insights.keep import read_changed
from app.insights.risk import AccountAtRisk, Limits, accounts_at_risk
from app.insights.thread import Span
from app.pages.access import viewer
from app.pages.frame import visit
from app.pages.insight_figures import read_figures
from app.pages.insights import read_asked_risk, read_titles
from app.pages.list_exports import Cells, written
from app.pages.rows import AnyRow
from app.pages.wording import title_of, visitor_name

router = APIRouter(dependencies=[Depends(viewer)])

AT_ONCE = 500
_SPANS = ("first_response_seconds", "first_response_business_seconds")
_RESOLUTIONS = ("resolution_seconds", "resolution_business_seconds")
GROUPS = (
    "key", "name", "conversations", "answered", *_SPANS, "resolved", *_RESOLUTIONS, "reopenings",
    "waiting", "waiting_since", "last_contact_at", "rated", "rating",
)  # fmt: skip
BEHIND = (
    "conversation_id", "title", "contact", "status", "opened_at", *_SPANS, "operator",
    *_RESOLUTIONS, "reopenings", "waiting_since", "last_contact_at", "rating",
)  # fmt: skip
AT_RISK = ("company_id", "name", "reasons", "waiting_since", "rating", "silent_days")


@router.get("/insights.csv")
async def groups_csv(request: Request) -> Response:
    """By week where the address names no group."""
    async with visit(request) as page:
        figures = await read_figures(page)
    rows = [group.summed_up for group in figures.groups(figures.asked.by or "week")]
    return _file("insights", figures.trouble, GROUPS, [_group(one) for one in rows])


@router.get("/insights/conversations.csv")
async def behind_csv(request: Request) -> Response:
    async with visit(request) as page:
        figures = await read_figures(page)
        found = figures.behind
        titles: dict[str, AnyRow] = {}
        for start in range(0, len(found), AT_ONCE):
            ids = [one.id for one in found[start : start + AT_ONCE]]
            titles |= await read_titles(page.connection, page.website_id, ids)
    now = figures.asked.as_of is None
    cells = [_behind(one, titles[one.id], now) for one in found if one.id in titles]
    return _file("conversations-behind", figures.trouble, BEHIND, cells)


@router.get("/insights/at-risk.csv")
async def at_risk_csv(request: Request) -> Response:
    asked, _ = read_asked_risk(request.query_params)
    async with visit(request) as page:
        found = await accounts_at_risk(
            page.connection,
            page.website_id,
            page.frame.moments.now,
            await read_changed(page.connection, page.website_id),
            limits=Limits(asked.silent_days, asked.waiting_hours),
            reason=asked.reason,
        )
    return _file("accounts-at-risk", "", AT_RISK, [_account(one) for one in found.accounts])


def _file(name: str, trouble: str, head: Cells, rows: Sequence[Cells]) -> Response:
    if trouble:
        return Response(trouble, 422, media_type="text/plain; charset=utf-8")
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "private, no-store",
    }
    # Without the mark, spreadsheet programs take the file for one in an old encoding.
    text = "\ufeff" + written([head, *rows])
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _span(span: Span | None) -> Cells:
    return (None, None) if span is None else (span.seconds, span.business_seconds)


def _group(one: GroupFigures) -> Cells:
    return (
        one.key, one.name, one.conversations, one.answered, *_span(one.first_response),
        one.resolved, *_span(one.resolution), one.reopenings, one.waiting, one.waiting_since,
        one.last_contact_at, one.rated, one.rating,
    )  # fmt: skip


def _behind(one: Opened, row: AnyRow, now: bool) -> Cells:
    """The status is that of now, and left out where the figures are of a past day."""
    figures = one.counted.figures
    return (
        one.id, title_of(row), visitor_name(row), row.status if now else None, one.opened_at,
        *_span(figures.first_response), one.operator, *_span(figures.resolution),
        figures.reopenings, figures.waiting_since, figures.last_contact_at, one.counted.rating,
    )  # fmt: skip


def _account(one: AccountAtRisk) -> Cells:
    reasons = "|".join(one.reasons)
    return (
        one.company_id, one.name, reasons, one.waiting_since, one.rating, one.silent_days
    )  # fmt: skip
