from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app import clock
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen
from app.api.given import Instant
from app.api.problems import errors
from app.errors import Refused
from app.insights.groups import By, GroupFigures, Member
from app.insights.keep import read_changed
from app.insights.read import Period, hours_of, read_behind, read_groups
from app.insights.risk import SILENT_DAYS, WAITING_HOURS, AccountAtRisk, Limits, accounts_at_risk
from app.insights.thread import Span
from app.published.shapes import Id, Moment, Shape

router = APIRouter(prefix="/insights", tags=["insights"])
DEFAULT_DAYS = 90
MOST_BEHIND = 1_000


class Seconds(Shape):
    """A median, in calendar time and within business hours."""

    seconds: int
    business_seconds: int


class Insight(Shape):
    key: str = Field(
        description="A contact's or company's id, an operator's name, a week's Monday.",
        examples=["2026-03-02"],
    )
    name: str = Field(examples=["2026-03-02"])
    conversations: int
    answered: int
    first_response: Seconds | None
    resolved: int
    resolution: Seconds | None
    reopenings: int
    waiting: int
    waiting_since: Moment | None
    last_contact_at: Moment | None
    rated: int
    rating: float | None
    conversations_url: str = Field(
        description="The conversations behind it.",
        examples=["/api/v1/insights/conversations?by=week&key=2026-03-02"],
    )


class Insights(Shape):
    data: list[Insight]
    next_cursor: str | None = None


@router.get("", operation_id="listInsights", response_model=Insights, responses=errors(400, 404))
async def list_insights(
    request: Request,
    db: Db,
    actor: Caller,
    by: By = "week",
    website: Asked = None,
    since: Instant | None = None,
    until: Instant | None = None,
    as_of: Annotated[
        Instant | None, Query(description="As it was at that moment; without ratings.")
    ] = None,
) -> Response:
    """Figures of the conversations opened in a period, by default the last 90 days.

    First response: from the first message of the customer to the first answer of a person. Resolution:
    to the last time the conversation was resolved. docs/insights.md defines each figure.
    """
    period = _period(since, until, as_of)
    usual: str = request.app.state.whole.state.business_hours
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        hours = await hours_of(connection, website_id, usual)
        found = await read_groups(connection, website_id, by, period, hours)
    data = [_shown(website_id, by, period, one) for one in found]
    return answer(request, Insights(data=data))


class Behind(Shape):
    """One conversation with its own figures."""

    conversation_id: Id
    opened_at: Moment
    first_response: Seconds | None
    responder: str | None
    resolution: Seconds | None
    reopenings: int
    waiting_since: Moment | None
    last_contact_at: Moment | None
    rating: int | None


class BehindList(Shape):
    data: list[Behind]
    next_cursor: str | None = None


@router.get(
    "/conversations",
    operation_id="listInsightConversations",
    response_model=BehindList,
    responses=errors(400, 404),
)
async def list_behind(
    request: Request,
    db: Db,
    actor: Caller,
    by: By,
    key: Annotated[str, Query(max_length=500, pattern=r"^[^\x00]*$")],
    website: Asked = None,
    since: Instant | None = None,
    until: Instant | None = None,
    as_of: Instant | None = None,
) -> Response:
    """The conversations that the figures of one group were made of, newest first, at most 1,000."""
    period = _period(since, until, as_of)
    usual: str = request.app.state.whole.state.business_hours
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        hours = await hours_of(connection, website_id, usual)
        found = await read_behind(connection, website_id, by, key, period, hours)
    data = [_behind(one) for one in found[:MOST_BEHIND]]
    return answer(request, BehindList(data=data))


class AtRisk(Shape):
    """A company and why it is here; of the reasons those that hold are told."""

    company_id: Id
    name: str = Field(examples=["Acme"])
    reasons: list[Literal["waiting", "badly_rated", "silent"]]
    waiting_since: Moment | None
    rating: float | None = Field(description="Of the last 90 days, when at most 2.")
    silent_days: int | None
    conversations_url: str = Field(
        examples=["/api/v1/conversations?company=7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"]
    )


class AtRiskList(Shape):
    data: list[AtRisk]
    next_cursor: str | None = None


@router.get(
    "/at-risk",
    operation_id="listAccountsAtRisk",
    response_model=AtRiskList,
    responses=errors(400, 404),
)
async def list_at_risk(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    silent_days: Annotated[int, Query(ge=1, le=3650)] = SILENT_DAYS,
    waiting_hours: Annotated[int, Query(ge=0, le=8760)] = WAITING_HOURS,
) -> Response:
    """Companies whose customers wait, are dissatisfied, or have fallen silent; most reasons first."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        found = await accounts_at_risk(
            connection,
            website_id,
            clock.now(),
            await read_changed(connection, website_id),
            limits=Limits(silent_days, waiting_hours),
        )
    data = [_at_risk(website_id, one) for one in found.accounts]
    return answer(request, AtRiskList(data=data))


def _at_risk(website_id: str, one: AccountAtRisk) -> AtRisk:
    asked = urlencode({"website": website_id, "company": one.company_id})
    return AtRisk(
        company_id=one.company_id,
        name=one.name,
        reasons=one.reasons,
        waiting_since=one.waiting_since,
        rating=one.rating,
        silent_days=one.silent_days,
        conversations_url=f"/api/v1/conversations?{asked}",
    )


def _behind(member: Member) -> Behind:
    figures = member.counted.figures
    return Behind(
        conversation_id=member.id,
        opened_at=member.opened_at,
        first_response=_seconds(figures.first_response),
        responder=figures.responder,
        resolution=_seconds(figures.resolution),
        reopenings=figures.reopenings,
        waiting_since=figures.waiting_since,
        last_contact_at=figures.last_contact_at,
        rating=member.counted.rating,
    )


def _period(since: datetime | None, until: datetime | None, as_of: datetime | None) -> Period:
    end = until or as_of or clock.now()
    try:
        begin = since or end - timedelta(days=DEFAULT_DAYS)
    except OverflowError:
        raise Refused("until is no date of this age.") from None
    if begin >= end:
        raise Refused("since is not before until.")
    return Period(begin, end, as_of)


def _asked(period: Period) -> dict[str, str]:
    moments = {"since": period.since, "until": period.until, "as_of": period.as_of}
    return {name: moment.isoformat() for name, moment in moments.items() if moment is not None}


def _shown(website_id: str, by: By, period: Period, one: GroupFigures) -> Insight:
    asked = {"website": website_id, "by": by, "key": one.key, **_asked(period)}
    url = "/api/v1/insights/conversations?" + urlencode(asked)
    return Insight(
        key=one.key,
        name=one.name,
        conversations=one.conversations,
        answered=one.answered,
        first_response=_seconds(one.first_response),
        resolved=one.resolved,
        resolution=_seconds(one.resolution),
        reopenings=one.reopenings,
        waiting=one.waiting,
        waiting_since=one.waiting_since,
        last_contact_at=one.last_contact_at,
        rated=one.rated,
        rating=one.rating,
        conversations_url=url,
    )


def _seconds(span: Span | None) -> Seconds | None:
    if span is None:
        return None
    return Seconds(seconds=span.seconds, business_seconds=span.business_seconds)
