"""Replaying events, one or all of a filter; each ends in a redirect to a page that says what happened."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.errors import Refused
from app.pages.access import CurrentActor, member
from app.pages.events import ALL, DEFAULT_STATE, filter_of, read_events, require_event
from app.pages.frame import database_of, visit
from app.pages.parts import ring_for_hooks
from app.pages.security import require_own_request
from app.webhooks.replay import REPLAYABLE, Replayed, replay_matching, replay_one

router = APIRouter(dependencies=[Depends(require_own_request), Depends(member)])

Typed = Annotated[str, Form()]


@router.post("/events/replay")
async def replay_all(
    request: Request,
    actor: CurrentActor,
    state: Typed = "",
    event: Typed = "",
    first: Annotated[str, Form(alias="from")] = "",
    last: Annotated[str, Form(alias="to")] = "",
) -> Response:
    asked = read_events({"state": state, "event": event, "from": first, "to": last})
    if asked.notices:
        # Leaving a filter out would replay more than was asked for.
        raise Refused(f"{asked.notices[0]} Nothing was replayed.")
    chosen = asked.chosen.get("state", DEFAULT_STATE)
    if chosen not in (*REPLAYABLE, ALL):
        raise Refused("What waits will be applied by itself; there is nothing to replay.")
    if chosen in ("done", ALL) and "from" not in asked.chosen:
        raise Refused("Choose the first day: all that was ever applied is more than one can mean.")
    async with visit(request) as page:
        frame = page.frame
        wanted = filter_of(asked, page.website_id, frame.moments)
    done = await replay_matching(database_of(request), wanted, actor)
    ring_for_hooks(request)
    return _see(frame.url("/events", **asked.chosen, **_told(done)))


@router.post("/events/{event_id}/replay")
async def replay_this(request: Request, actor: CurrentActor, event_id: str) -> Response:
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
        row = await require_event(page, event_id)
    done = await replay_one(database_of(request), row.id, website_id, actor)
    ring_for_hooks(request)
    return _see(frame.url(f"/events/{row.id}", **_told(done)))


def _told(done: Replayed) -> dict[str, str]:
    return {"replayed": str(done.put_back), "bodiless": str(done.without_body)}


def _see(address: str) -> Response:
    return RedirectResponse(address, status_code=303)
