"""One record by its id, in whichever website of the token it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.caller import known_id, visible
from app.errors import NotFound

T = TypeVar("T")
Loader = Callable[[AsyncConnection, str, Sequence[Any]], Awaitable[Mapping[Any, T]]]


async def website_with(
    connection: AsyncConnection, actor: Actor, table: Table, own_id: str, noun: str
) -> str:
    """The website of the row with that id. Raises NotFound."""
    found = None
    if known_id(own_id):
        seen = await visible(connection, actor)
        query = select(table.c.website_id).where(table.c.website_id.in_(seen), table.c.id == own_id)
        found = await connection.scalar(query.order_by(table.c.website_id).limit(1))
    if found is None:
        raise NotFound(f"There is no {noun} of that id here.")
    return str(found)


async def load_one(
    connection: AsyncConnection,
    actor: Actor,
    table: Table,
    own_id: str,
    noun: str,
    load: Loader[T],
) -> T:
    """Raises NotFound."""
    website_id = await website_with(connection, actor, table, own_id, noun)
    return (await load(connection, website_id, [own_id]))[own_id]
