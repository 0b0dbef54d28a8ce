"""Who asks, which websites the token may see, and which one is meant.

What a token may not see does not exist for it: 404, never 403 (FAILURES case 91).
"""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from fastapi import Depends, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.db.session import Database
from app.errors import NotFound, Refused
from app.websites.tables import websites

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}")


def actor_of(request: Request) -> Actor:
    actor: Actor = request.state.actor
    return actor


def database_of(request: Request) -> Database:
    database: Database = request.app.state.whole.state.db
    return database


Caller: TypeAlias = Annotated[Actor, Depends(actor_of)]
Db: TypeAlias = Annotated[Database, Depends(database_of)]
Asked: TypeAlias = Annotated[
    str | None,
    Query(
        alias="website",
        description="Crisp's website id; may be left out when the token sees one website only.",
        max_length=64,
    ),
]
Text: TypeAlias = Annotated[str | None, Query(max_length=300, pattern=r"^[^\x00]*$")]


def viewer(actor: Caller) -> None:
    actor.require(Role.VIEWER)


def member(actor: Caller) -> None:
    actor.require(Role.MEMBER)


def admin(actor: Caller) -> None:
    actor.require(Role.ADMIN)


async def visible(connection: AsyncConnection, actor: Actor) -> list[str]:
    """The websites that are here and that the token may see, oldest connection first."""
    rows = await connection.execute(
        select(websites.c.id).order_by(websites.c.connected_at, websites.c.id)
    )
    return [str(row.id) for row in rows if actor.sees(row.id)]


async def chosen(connection: AsyncConnection, actor: Actor, asked: str | None) -> str:
    """The one website that a list is of. Raises NotFound, Refused."""
    seen = await visible(connection, actor)
    if asked is not None:
        if asked not in seen:
            raise NotFound("There is no website of that id here.")
        return asked
    if len(seen) != 1:
        raise Refused(
            "Say which website: ?website=ID. They are listed at /api/v1/websites."
            if seen
            else "No website is connected that this token may see."
        )
    return seen[0]


def known_id(text: str) -> bool:
    """Whether it has the shape of an id of ours: others are not looked up (PostgreSQL refuses NUL)."""
    return _ID.fullmatch(text) is not None
