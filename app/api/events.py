from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, Text, chosen, known_id, member, visible
from app.api.cursors import bad_cursor, seal, unseal
from app.api.given import Given, Instant
from app.api.paging import CursorText, Limit, Page
from app.api.problems import errors
from app.db.base import StoredRow
from app.errors import NotFound, Refused
from app.published.shapes import Moment, Shape, WebsiteId
from app.webhooks.letters import Filter, Place, get_event, list_events
from app.webhooks.replay import REPLAYABLE, replay_matching, replay_one

router = APIRouter(prefix="/events", tags=["events"])
State = Literal["new", "done", "ignored", "parked", "dead"]


class Event(Shape):
    """A web hook of Crisp, as it was received. Its body is not given out: it holds what people wrote."""

    id: str = Field(
        description="SHA-256 of the body, hex.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    website_id: WebsiteId | None
    event: str = Field(examples=["message:send"])
    state: State
    attempts: int
    deliveries: int
    error: str | None
    received_at: Moment
    done_at: Moment | None


class EventPage(Page):
    data: list[Event]


def _shown(row: StoredRow) -> Event:
    return Event(**{name: getattr(row, name) for name in Event.model_fields})


@router.get("", operation_id="listEvents", response_model=EventPage, responses=errors(400, 404))
async def list_received(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    state: State | None = None,
    event: Text = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Newest first. A page may have fewer rows than asked for, and still a next one."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        wanted = Filter((state,) if state else (), event, website_id)
        scope = [website_id, state, event]
        listed = await list_events(connection, wanted, limit, _place(cursor, scope))
    older = listed.older
    following = seal(scope, older.received_at.isoformat(), older.id) if older else None
    data = [_shown(row) for row in listed.rows]
    return answer(request, EventPage(data=data, next_cursor=following))


def _place(cursor: str | None, scope: list[str | None]) -> Place | None:
    if cursor is None:
        return None
    of, received_at, event_id = unseal(cursor, 3)
    if of != scope:
        raise bad_cursor()
    return Place(datetime.fromisoformat(received_at), event_id)


class Replay(Given):
    """Which events; times are of arrival, `since` is included and `until` is not."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "dead"}]})
    state: Literal["dead", "parked", "ignored", "done", "any"] = "dead"
    event: str | None = Field(None, max_length=100, pattern=r"^[^\x00]*$")
    since: Instant | None = None
    until: Instant | None = None


class Replayed(Shape):
    put_back: int = Field(description="They will be applied again.")
    without_body: int = Field(description="Nothing of them is kept, so there is nothing to apply.")


@router.post(
    "/replay", operation_id="replayEvents", response_model=Replayed, responses=errors(404),
    dependencies=[Depends(member)],
)  # fmt: skip
async def replay_many(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[Replay, Body()],
    website: Asked = None,
) -> Response:
    """Dead letters, or others, are applied again: harmless, since older news never replaces newer."""
    if wanted.state in {"done", "any"} and wanted.since is None:
        raise Refused("Say `since`: all that was ever applied is more than one can mean.")
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
    states: tuple[State, ...] = REPLAYABLE if wanted.state == "any" else (wanted.state,)
    which = Filter(states, wanted.event, website_id, since=wanted.since, until=wanted.until)
    done = await replay_matching(db, which, actor)
    request.app.state.whole.state.hook_bell()
    told = Replayed(put_back=done.put_back, without_body=done.without_body)
    return answer(request, told)


@router.get("/{event_id}", operation_id="getEvent", response_model=Event, responses=errors(404))
async def get_received(request: Request, db: Db, actor: Caller, event_id: str) -> Response:
    async with db.read() as connection:
        return answer(request, await _load(connection, actor, event_id))


async def _load(connection: AsyncConnection, actor: Actor, event_id: str) -> Event:
    row = await get_event(connection, event_id) if known_id(event_id) else None
    if row is None or row.website_id not in await visible(connection, actor):
        raise NotFound("There is no event of that id here.")
    return _shown(row)


@router.post(
    "/{event_id}/replay", operation_id="replayEvent", response_model=Event,
    responses=errors(404), dependencies=[Depends(member)],
)  # fmt: skip
async def replay(request: Request, db: Db, actor: Caller, event_id: str) -> Response:
    """Have it applied again: harmless, since older news never replaces newer."""
    async with db.read() as connection:
        found = await _load(connection, actor, event_id)
    done = await replay_one(db, found.id, found.website_id, actor)
    if done.without_body:
        raise Refused("Its body is not kept any more, so there is nothing to apply.")
    request.app.state.whole.state.hook_bell()
    async with db.read() as connection:
        return answer(request, await _load(connection, actor, event_id))
