"""`/events`: how web hooks arrive, what could not be applied, and one event (SPEC V6, T2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app import clock
from app.db.keyset import Cursor, KeyPage, Order
from app.db.together import ask_together
from app.errors import NotFound
from app.pages import event_words
from app.pages.access import viewer
from app.pages.frame import Visit, visit
from app.pages.ids import known_id
from app.pages.listing import Asked, Sort, read_day, read_listing
from app.pages.parts import hook_url_of
from app.pages.rows import AnyRow
from app.pages.times import Moments
from app.webhooks import hook_figures
from app.webhooks.letters import STATES, Filter, Place, get_event, list_events
from app.webhooks.redact import redact
from app.webhooks.silence import Silence, silence_of, usual_query
from app.webhooks.tables import inbox_events
from app.webhooks.wanted import EVENTS_TO_TICK

router = APIRouter(dependencies=[Depends(viewer)])

ALL = "all"
DEFAULT_STATE = "dead"
DEFAULT_SORT = "-arrived"
_ORDER = Order(inbox_events.c.received_at, inbox_events.c.id, datetime, nullable=False)
SORTS = {"arrived": Sort("Arrived", _ORDER)}
FILTERS: Mapping[str, frozenset[str] | None] = {
    "state": frozenset({*STATES, ALL}),
    "event": None,
    "from": None,
    "to": None,
}


@dataclass(frozen=True, slots=True)
class Health:
    figures: list[hook_figures.EventFigures]
    backlog: hook_figures.Backlog
    last: datetime | None
    silence: Silence | None
    refusals: Sequence[AnyRow]
    missed: list[event_words.MissedDay]

    @property
    def unseen(self) -> list[str]:
        """Events of the form of which none arrived in the last days."""
        seen = {one.event for one in self.figures}
        return [event for event in EVENTS_TO_TICK if event not in seen]


@router.get("/events")
async def event_list(request: Request) -> Response:
    asked = read_events(request.query_params)
    async with visit(request) as page:
        health = await _health(page)
        found = await _list(page, asked)
    params = asked.params(DEFAULT_SORT)
    return page.show(
        "events.html",
        asked=asked,
        params=params,
        state=asked.chosen.get("state", DEFAULT_STATE),
        narrowed=set(asked.chosen) - {"state"},
        found=found,
        health=health,
        words=event_words,
        replayed=_replayed(request.query_params),
        hook_url=hook_url_of(request),
        to_tick=EVENTS_TO_TICK,
    )


def read_events(params: Mapping[str, str]) -> Asked:
    asked = read_listing(params, SORTS, DEFAULT_SORT, FILTERS)
    for name in ("from", "to"):
        if name in asked.chosen and read_day(asked.chosen[name]) is None:
            asked.notices.append("A date is written like 2026-01-31; that one is left out.")
            asked = asked.without(name)
    return asked


def filter_of(asked: Asked, website_id: str, moments: Moments) -> Filter:
    """Days are whole, in the website's time zone; hooks that are nobody's show everywhere."""
    state = asked.chosen.get("state", DEFAULT_STATE)
    first, last = read_day(asked.chosen.get("from")), read_day(asked.chosen.get("to"))
    return Filter(
        states=tuple(known for known in STATES if known == state),
        event=asked.chosen.get("event"),
        website_id=website_id,
        nobodys=True,
        since=moments.start_of(first) if first else None,
        until=moments.start_of(last + timedelta(days=1)) if last else None,
    )


async def _list(page: Visit, asked: Asked) -> KeyPage:
    wanted = filter_of(asked, page.website_id, page.frame.moments)
    cursor = asked.cursor
    place = None
    if cursor is not None and isinstance(cursor.value, datetime):
        place = Place(cursor.value, str(cursor.id))
    listed = await list_events(
        page.connection, wanted, asked.size, place, back=cursor is not None and cursor.back
    )
    return KeyPage(
        listed.rows, _written(listed.older, back=False), _written(listed.newer, back=True)
    )


def _written(place: Place | None, *, back: bool) -> str | None:
    return Cursor(back, place.received_at, place.id).written() if place else None


async def _health(page: Visit) -> Health:
    connection, website_id = page.connection, page.website_id
    days, (backlog,), (newest,), (usual,), refusals, missed = await ask_together(
        connection,
        hook_figures.days_query(website_id),
        hook_figures.backlog_query(website_id),
        hook_figures.last_query(website_id),
        usual_query(website_id),
        hook_figures.refusals_query(),
        hook_figures.missed_query(website_id),
    )
    last = hook_figures.last_of(newest)
    return Health(
        figures=hook_figures.figures_of_days(days),
        backlog=hook_figures.backlog_of(backlog),
        last=last,
        silence=await silence_of(connection, website_id, last, usual),
        refusals=refusals,
        missed=event_words.missed_days(missed),
    )


def _replayed(params: Mapping[str, str]) -> str:
    """The notice after a replay, whose numbers stand in the address."""
    numbers = [params.get(name, "") for name in ("replayed", "bodiless")]
    if not all(text.isdecimal() and text.isascii() and len(text) < 10 for text in numbers):
        return ""
    return event_words.replayed_words(int(numbers[0]), int(numbers[1]))


@router.get("/events/{event_id}")
async def one_event(request: Request, event_id: str) -> Response:
    async with visit(request) as page:
        row = await require_event(page, event_id)
    return page.show(
        "event.html",
        row=row,
        nobodys=row.website_id is None,
        body=None if row.body is None else event_words.body_words(redact(row.body)),
        size=None if row.body is None else len(row.body),
        emitted_at=clock.from_ms(row.emitted_ms),
        words=event_words,
        replayed=_replayed(request.query_params),
    )


async def require_event(page: Visit, event_id: str) -> Any:
    row = None
    if known_id(event_id):
        row = await get_event(page.connection, event_id, page.website_id)
    if row is None:
        raise NotFound("There is no such event in this website.")
    return row
