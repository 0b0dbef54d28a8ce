from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, visible
from app.api.cursors import bad_cursor, seal, unseal
from app.api.messages import Include
from app.api.problems import errors
from app.db.feed import Place, newest_places, read_changes
from app.errors import NotFound, Refused
from app.published.feed import ChangeShape, with_data
from app.published.shapes import Shape
from app.websites.tables import websites

router = APIRouter(prefix="/changes", tags=["changes"])
MOST_WEBSITES = 80
"""A cursor names each website of the token, and an address has room for some thousand letters."""
Cursor = Annotated[str | None, Query(description="`next_cursor` of the answer before.")]
Since = Annotated[
    Literal["now"] | None, Query(description="Without a cursor: only what changes from now on.")
]


class Changes(Shape):
    """`next_cursor` is always there: ask with it again, at once while `has_more`, else later."""

    data: list[ChangeShape]
    next_cursor: str = Field(examples=["nNzB1yV8W1tudWxsXQ"])
    has_more: bool = Field(description="There is more to read now.")


@router.get("", operation_id="listChanges", response_model=Changes, responses=errors(400, 404, 410))
async def list_changes(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    cursor: Cursor = None,
    since: Since = None,
    include: Include = [],  # noqa: B006  # FastAPI copies it
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Every change of contacts, companies, memberships, conversations, links and messages, each once
    for a cursor, each website's in the order in which they happened. Without a cursor from the oldest
    change that is kept. Of all websites of the token, or of one.
    """
    async with db.read() as connection:
        seen = await _websites(connection, actor, website)
        turn, places = _places(cursor, website)
        gone = await _gone(connection, set(places) - set(seen))
        places = {w: place for w, place in places.items() if w in seen}
        if cursor is None and since == "now":
            read_on = await newest_places(connection, seen)
            return answer(request, _told([], read_on, website, "", more=False))
        read = await read_changes(connection, seen, places, limit, turn=turn)
        data = [*gone, *await with_data(connection, read.changes, notes="notes" in include)]
    turn = read.changes[-1].website_id if read.changes else ""
    return answer(request, _told(data, read.places, website, turn, more=read.more))


async def _websites(connection: AsyncConnection, actor: Actor, asked: str | None) -> list[str]:
    seen = await visible(connection, actor)
    if asked is not None:
        if asked not in seen:
            raise NotFound("There is no website of that id here.")
        return [asked]
    if len(seen) > MOST_WEBSITES:
        raise Refused(f"More than {MOST_WEBSITES} websites: ask for each by ?website=ID.")
    return seen


def _places(cursor: str | None, website: str | None) -> tuple[str, dict[str, Place]]:
    if cursor is None:
        return "", {}
    of, turn, places = unseal(cursor, 3)
    if of != website:
        raise bad_cursor()
    return turn, {website_id: Place(*place) for website_id, place in places.items()}


def _told(
    data: list[ChangeShape],
    places: Mapping[str, Place],
    website: str | None,
    turn: str,
    *,
    more: bool,
) -> Changes:
    kept: dict[str, Any] = {w: list(place) for w, place in sorted(places.items())}
    return Changes(data=data, next_cursor=seal(website, turn, kept), has_more=more)


async def _gone(connection: AsyncConnection, website_ids: set[str]) -> list[ChangeShape]:
    """Websites that were erased; one that the token may not see any more just ends."""
    if not website_ids:
        return []
    rows = await connection.execute(select(websites.c.id).where(websites.c.id.in_(website_ids)))
    erased = website_ids - set(rows.scalars())
    return [
        ChangeShape(
            website_id=website_id,
            kind="website",
            id=website_id,
            fingerprint=None,
            deleted=True,
            changed_at=None,
            data=None,
        )
        for website_id in sorted(erased)
    ]
