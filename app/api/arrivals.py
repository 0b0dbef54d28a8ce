from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen
from app.api.examples import MOMENT
from app.api.problems import errors
from app.published.shapes import Moment, Shape
from app.webhooks import hook_figures
from app.webhooks.arrivals import last_arrivals
from app.webhooks.hook_figures import EventFigures
from app.webhooks.silence import silent_since
from app.webhooks.wanted import EVENTS_TO_TICK

router = APIRouter(prefix="/events", tags=["events"])
Of = Annotated[
    str | None,
    Query(
        alias="website",
        description="Crisp's website id. Left out by a token of all websites: of whichever, since "
        "events are ticked once for all of them.",
        max_length=64,
    ),
]


class Arrival(Shape):
    """How the hooks of one event arrive. Numbers are of the last 7 days, and of what was dealt with."""

    event: str = Field(examples=["message:send"])
    to_tick: bool = Field(description="It belongs among those to tick in Crisp's form.")
    last_received_at: Moment | None = Field(description="null: never.")
    arrived: int
    ignored: int = Field(description="Nothing that is kept here depends on them.")
    dead: int = Field(description="They could not be applied.")
    repeated_first: int = Field(description="Crisp's first try did not get here.")
    p50_ms: float | None = Field(description="Half were applied within.", examples=[120.0])
    p95_ms: float | None = Field(description="95 % were applied within.", examples=[900.0])


class ArrivalList(Shape):
    data: list[Arrival]
    missing: list[str] = Field(
        description="To tick, and never arrived: rare, or not ticked.",
        examples=[["message:removed"]],
    )
    next_cursor: None = None


class Refusal(Shape):
    """Deliveries that were not taken, of the whole deployment: nobody looks whose they say they are."""

    cause: str = Field(examples=["signature"])
    refused: int
    last_at: Moment


class Missed(Shape):
    """What a run found, and no hook had told."""

    day: str = Field(description="UTC.", examples=["2026-03-02"])
    kind: str = Field(examples=["message"])
    missed: int


class HookHealth(Shape):
    """What waits, is parked or dead is counted up to 10,000; parked and dead ones of nobody are among them."""

    last_received_at: Moment | None = Field(description="null: never.", examples=[MOMENT])
    silent_since: Moment | None = Field(
        description="Nothing arrives, at a time at which it does on other days; null: all is as usual."
    )
    waiting: int
    oldest_waiting_at: Moment | None
    parked: int = Field(description="They wait for the website's first import, or to be resumed.")
    dead: int
    refusals: list[Refusal] = Field(description="By cause, newest first.")
    missed: list[Missed] = Field(description="Of the last 14 days, newest first.")


@router.get(
    "/health", operation_id="getHookHealth", response_model=HookHealth, responses=errors(404)
)
async def get_health(request: Request, db: Db, actor: Caller, website: Asked = None) -> Response:
    """Whether web hooks arrive and are dealt with."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        last = await hook_figures.last_received(connection, website_id)
        silence = await silent_since(connection, website_id)
        backlog = await hook_figures.backlog(connection, website_id)
        refusals = await hook_figures.refusals(connection)
        missed = await hook_figures.missed_per_day(connection, website_id)
    told = HookHealth(
        last_received_at=last,
        silent_since=silence.since if silence else None,
        waiting=backlog.waiting,
        oldest_waiting_at=backlog.oldest_waiting_at,
        parked=backlog.parked,
        dead=backlog.dead,
        refusals=[Refusal(**row._asdict()) for row in refusals],
        missed=[Missed(**row._asdict()) for row in missed],
    )
    return answer(request, told)


@router.get(
    "/arrivals", operation_id="listArrivals", response_model=ArrivalList, responses=errors(404)
)  # fmt: skip
async def list_arrivals(request: Request, db: Db, actor: Caller, website: Of = None) -> Response:
    """Which web hooks arrive, and which are missing. Those to tick in Crisp's form first."""
    async with db.read() as connection:
        of_all = website is None and actor.website_ids is None
        website_id = None if of_all else await chosen(connection, actor, website)
        last = await last_arrivals(connection, website_id)
        rows = (await connection.execute(hook_figures.days_query(website_id))).all()
    figures = {one.event: one for one in hook_figures.figures_of_days(rows)}
    names = [*EVENTS_TO_TICK, *sorted((set(last) | set(figures)) - set(EVENTS_TO_TICK))]
    told = ArrivalList(
        data=[_arrival(name, last.get(name), figures.get(name)) for name in names],
        missing=[name for name in EVENTS_TO_TICK if name not in last],
    )
    return answer(request, told)


def _arrival(event: str, last: datetime | None, figures: EventFigures | None) -> Arrival:
    return Arrival(
        event=event,
        to_tick=event in EVENTS_TO_TICK,
        last_received_at=last,
        arrived=figures.arrived if figures else 0,
        ignored=figures.ignored if figures else 0,
        dead=figures.dead if figures else 0,
        repeated_first=figures.repeated_first if figures else 0,
        p50_ms=figures.p50_ms if figures else None,
        p95_ms=figures.p95_ms if figures else None,
    )
