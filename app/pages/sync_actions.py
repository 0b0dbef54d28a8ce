"""Starting, pausing, resuming and cancelling syncs; each is a call of app.sync, and a redirect."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.errors import CrispsyncError, NotFound, Refused
from app.pages.access import CurrentActor, admin
from app.pages.frame import Frame, database_of, visit
from app.pages.ids import known_id
from app.pages.listing import read_day
from app.pages.parts import Preview, Ring, SyncCalls, preview_of, quota_now, ring_of, sync_calls
from app.pages.security import require_own_request
from app.pages.syncs import list_context
from app.pages.times import Moments

router = APIRouter(dependencies=[Depends(require_own_request), Depends(admin)])

Kind = Literal["full", "incremental", "backfill"]
KINDS: dict[str, Kind] = {"full": "full", "incremental": "incremental", "backfill": "backfill"}
Calls = Annotated[SyncCalls, Depends(sync_calls)]
Bell = Annotated[Ring, Depends(ring_of)]
Typed = Annotated[str, Form()]


@router.post("/syncs")
async def start(
    request: Request,
    actor: CurrentActor,
    calls: Calls,
    ring: Bell,
    kind: Typed = "",
    first: Typed = "",
    last: Typed = "",
) -> Response:
    chosen = KINDS.get(kind)
    if chosen is None:
        raise Refused("There is no such kind of sync; choose full, incremental or backfill.")
    frame = await _frame(request)
    window: tuple[datetime | None, datetime | None] = (None, None)
    if chosen == "backfill":
        window = window_of(first, last, frame.moments)
    run_id = await calls.request_run(
        database_of(request),
        _website(frame),
        chosen,
        started_by=actor.name,
        actor=actor,
        window_from=window[0],
        window_to=window[1],
    )
    await ring()
    return _see(frame, run_id)


@router.post("/syncs/preview")
async def preview(
    request: Request,
    ask: Annotated[Preview, Depends(preview_of)],
    first: Typed = "",
    last: Typed = "",
) -> Response:
    """A POST, because it costs requests: no link, prefetch or reload may spend them unasked."""
    frame = await _frame(request)
    cost, trouble, status = None, "", 200
    try:
        cost = await ask(_website(frame), *window_of(first, last, frame.moments))
    except CrispsyncError as error:
        trouble, status = error.message, error.http_status
    quota = await quota_now(request)
    async with visit(request) as page:
        context = await list_context(page)
    context |= {"first": first[:20], "last": last[:20], "cost": cost, "trouble": trouble}
    return page.show("syncs.html", status, quota=quota, **context)


@router.post("/syncs/{run_id}/{what}")
async def change(
    request: Request, actor: CurrentActor, calls: Calls, ring: Bell, run_id: str, what: str
) -> Response:
    frame = await _frame(request)
    if not known_id(run_id):
        raise NotFound("There is no such sync in this website.")
    db, website_id = database_of(request), _website(frame)
    if what == "resume":
        await calls.resume(db, website_id, run_id, actor)
        await ring()
    elif what in {"pause", "cancel"}:
        asked: Literal["pause", "cancel"] = "pause" if what == "pause" else "cancel"
        await calls.ask(db, website_id, run_id, asked, actor)
    else:
        raise NotFound("A sync can be paused, resumed or cancelled, and nothing else.")
    return _see(frame, run_id)


def window_of(first: str, last: str, moments: Moments) -> tuple[datetime, datetime]:
    """Both days whole, in the website's time zone. Raises Refused with what is wrong."""
    start, end = read_day(first.strip()), read_day(last.strip())
    if start is None or end is None:
        raise Refused("A backfill needs two dates, each written like 2026-01-31.")
    if end < start:
        raise Refused("The last day is before the first: exchange the two dates.")
    if start > moments.today():
        raise Refused("That window lies in the future; there is nothing in it yet.")
    return moments.start_of(start), moments.start_of(_day_after(end))


def _day_after(day: date) -> date:
    return day + timedelta(days=1)


async def _frame(request: Request) -> Frame:
    # Read and closed before anything is asked of Crisp or written.
    async with visit(request) as page:
        return page.frame


def _website(frame: Frame) -> str:
    if frame.website is None:
        raise NotFound("No website is connected.")
    return str(frame.website.id)


def _see(frame: Frame, run_id: str) -> Response:
    return RedirectResponse(frame.url(f"/syncs/{run_id}"), status_code=303)
