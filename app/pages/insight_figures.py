"""The figures that a page shows: of the conversations of a period, in their groups (SPEC V8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import Refused
from app.insights.groups import (
    By,
    Group,
    GroupFigures,
    Opened,
    Owners,
    grouped_by,
    members_by,
    newest_first,
    summed_up,
)
from app.insights.read import read_nth_newest, read_opened, read_owners
from app.pages.charts import Chart, Slot, draw, span_label
from app.pages.frame import Visit
from app.pages.insight_period import WEEKS, AskedFigures, fits, read_asked
from app.pages.queries_figures import Figures as Counts
from app.pages.times import HOUR, MINUTE
from app.websites.business_hours import DEFAULT, BusinessHours, read_hours

MOST_BARS = 104
MOST_USUAL = 5_000
"""Conversations of the period that nobody chose."""
MOST_OWN = 200
"""Conversations whose threads the page of a contact or company reads whole."""
_FEW = 3 * HOUR


@dataclass(frozen=True, slots=True)
class Figures:
    """`trouble` says why there are none; `owners` are known where companies were asked for."""

    asked: AskedFigures
    hours: BusinessHours
    opened: Sequence[Opened]
    owners: Owners
    trouble: str = ""

    @property
    def totals(self) -> GroupFigures:
        return summed_up("", "", [one.counted for one in self.opened])

    def groups(self, by: By) -> list[Group]:
        """As the API has them; weeks newest first."""
        found = grouped_by(by, self.opened, self.owners, self.hours)
        return found[::-1] if by == "week" else found

    @property
    def behind(self) -> list[Opened]:
        """The conversations behind what was asked for, newest first."""
        asked, by_id = self.asked, {one.id: one for one in self.opened}
        if asked.by is None:
            ids = [one.id for one in self.opened]
        else:
            members = members_by(asked.by, self.opened, self.owners, self.hours)
            ids = [one.id for one in newest_first(members) if one.key[0] == asked.key]
        found = [by_id[own_id] for own_id in ids]
        ordered = sorted(found, key=lambda one: (one.opened_at, one.id), reverse=True)
        return [one for one in ordered if fits(one.counted, asked.show)]


def hours_here(page: Visit) -> BusinessHours:
    """The website's business hours, in its time zone."""
    website = page.frame.website
    usual: str = getattr(page.request.app.state, "business_hours", DEFAULT)
    if website is None:
        return read_hours(usual, "UTC")
    return read_hours(website.business_hours or usual, website.time_zone)


def names_companies(by: str | None) -> bool:
    """Whether the page shows companies: asked for, or because it shows a few groups of several kinds."""
    return by not in {"contact", "operator", "week"}


async def read_figures(
    page: Visit,
    asked: AskedFigures | None = None,
    *narrowed: ColumnElement[bool],
    beside: AsyncConnection | None = None,
) -> Figures:
    """At most five statements. The companies are read over `beside` meanwhile, where it is given."""
    moments, hours = page.frame.moments, hours_here(page)
    asked = asked or read_asked(page.request.query_params, moments)
    if asked.usual:
        asked = await _not_too_long(page, asked, *narrowed)
    try:
        opened, owners = await _read(page, asked, hours, narrowed, beside)
    except Refused as error:
        return Figures(asked, hours, [], {}, error.message)
    return Figures(asked, hours, opened, owners)


async def _read(
    page: Visit,
    asked: AskedFigures,
    hours: BusinessHours,
    narrowed: Sequence[ColumnElement[bool]],
    beside: AsyncConnection | None,
) -> tuple[Sequence[Opened], Owners]:
    website_id, period = page.website_id, asked.period(page.frame.moments)

    async def opened() -> Sequence[Opened]:
        return await read_opened(
            page.connection, website_id, period, hours, *narrowed,
            with_contacts=asked.by == "contact",
        )  # fmt: skip

    async def owners() -> Owners:
        if not names_companies(asked.by) or narrowed:
            return {}
        return await read_owners(beside or page.connection, website_id, period)

    if beside is None:
        return await opened(), await owners()
    both = asyncio.create_task(opened()), asyncio.create_task(owners())
    await asyncio.gather(*both, return_exceptions=True)
    return both[0].result(), both[1].result()


async def _not_too_long(
    page: Visit, asked: AskedFigures, *narrowed: ColumnElement[bool]
) -> AskedFigures:
    """The usual period, or a shorter one where that has more conversations than a page reads quickly."""
    moments = page.frame.moments
    until = asked.period(moments).until
    before_most = await read_nth_newest(
        page.connection, page.website_id, until, MOST_USUAL, *narrowed
    )
    tried = [asked.since_weeks(weeks) for weeks in WEEKS]
    if before_most is None or tried[0].period(moments).since > before_most:
        return tried[0]
    fitting = (one for one in tried[:-1] if one.period(moments).since > before_most)
    fewer = f"In the last {WEEKS[0]} weeks over {MOST_USUAL:,} conversations were opened, so this begins later. Any period can be chosen."
    return replace(next(fitting, tried[-1]), notices=[*asked.notices, fewer])


async def read_own(
    page: Visit, by: By, key: str, own: Sequence[ColumnElement[bool]], known: Counts
) -> Figures:
    """Of one contact or company: of all its conversations, or of the usual period where those are many.

    `known` is what all of them are. At most four statements.
    """
    asked = replace(read_asked({}, page.frame.moments), by=by, key=key)
    if known.first_opened is not None and known.conversations <= MOST_OWN:
        begin = page.frame.moments.local(known.first_opened).date()
        asked = replace(asked, since=begin, usual=False)
    return await read_figures(page, asked, *own)


@dataclass(frozen=True, slots=True)
class WeekCharts:
    """`unit` is what the first responses are drawn in."""

    opened: Chart
    responses: Chart
    unit: str


def week_charts(page: Visit, asked: AskedFigures, weeks: Sequence[Group]) -> WeekCharts:
    """The last weeks of the period, also those in which nothing was opened."""
    by_key = {one.key: one.summed_up for one in weeks}
    mondays = _mondays(asked.since, asked.until)[-MOST_BARS:]
    spans = [by_key[m].first_response for m in mondays if m in by_key]
    slow = max((one.business_seconds for one in spans if one), default=0) > _FEW
    unit, seconds = ("hours", HOUR) if slow else ("minutes", MINUTE)
    opened, responses = [], []
    for monday in mondays:
        first = date.fromisoformat(monday)
        label = span_label(first, first + timedelta(days=6))
        one = by_key.get(monday)
        url = page.frame.url("/insights/conversations", **asked.days, by="week", key=monday)
        took = one.first_response.business_seconds if one and one.first_response else 0
        opened.append(Slot(label, one.conversations if one else 0, url))
        responses.append(Slot(label, round(took / seconds), f"{url}&show=answered"))
    return WeekCharts(Chart(opened, draw(opened)), Chart(responses, draw(responses)), unit)


def _mondays(since: date, until: date) -> list[str]:
    first = since - timedelta(days=since.weekday())
    return [(first + timedelta(weeks=n)).isoformat() for n in range((until - first).days // 7 + 1)]
