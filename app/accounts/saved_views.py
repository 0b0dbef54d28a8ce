"""Saved views: the address of a list under a name, for the person who saved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Column, ForeignKeyConstraint, Index, PrimaryKeyConstraint, Text, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor
from app.accounts.audit import audit
from app.db.base import StoredRow, UtcDateTime, new_id, website_table
from app.errors import NotFound, Refused

MOST = 50
LONGEST_NAME = 60
LISTS = frozenset({"contacts", "companies", "conversations"})

saved_views = website_table(
    "saved_views",
    Column("id", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Index(None, "website_id", "owner_id", "list"),
)


async def views_of(
    connection: AsyncConnection, actor: Actor, website_id: str, which: str
) -> Sequence[StoredRow]:
    """(id, name, query) of this person's views of one list, by name."""
    v = saved_views.c
    query = (
        select(v.id, v.name, v.query)
        .where(v.website_id == website_id, v.owner_id == actor.id, v.list == which)
        .order_by(v.name, v.id)
        .limit(MOST)
    )
    return (await connection.execute(query)).all()


async def save_view(
    connection: AsyncConnection,
    actor: Actor,
    website_id: str,
    which: str,
    name: str,
    params: Mapping[str, str],
) -> None:
    """A view of the same name is replaced. Raises Refused."""
    name = " ".join(name.split())
    if which not in LISTS:
        raise Refused("Views are saved of contacts, companies and conversations.")
    if not 0 < len(name) <= LONGEST_NAME:
        raise Refused(f"Give the view a name of 1 to {LONGEST_NAME} characters.")
    v = saved_views.c
    own = (v.website_id == website_id, v.owner_id == actor.id, v.list == which)
    await connection.execute(saved_views.delete().where(*own, v.name == name))
    count = await connection.scalar(select(func.count()).select_from(saved_views).where(*own))
    if (count or 0) >= MOST:
        raise Refused(f"There are {MOST} saved views already; remove one of them first.")
    query = urlencode({key: value for key, value in params.items() if value})
    row: dict[str, Any] = {
        "website_id": website_id, "id": new_id(), "owner_id": actor.id, "list": which,
        "name": name, "query": query, "created_at": clock.now(),
    }  # fmt: skip
    await connection.execute(saved_views.insert().values(row))
    after = {"list": which, "name": name}
    await audit(connection, actor, "view.saved", website_id=website_id, after=after)


async def remove_view(
    connection: AsyncConnection, actor: Actor, website_id: str, view_id: str
) -> StoredRow:
    """The view that was removed. Raises NotFound, also for somebody else's."""
    v = saved_views.c
    removed = await connection.execute(
        saved_views.delete()
        .where(v.website_id == website_id, v.owner_id == actor.id, v.id == view_id)
        .returning(v.list, v.name)
    )
    row = removed.one_or_none()
    if row is None:
        raise NotFound("There is no such saved view.")
    before = {"list": row.list, "name": row.name}
    await audit(connection, actor, "view.removed", website_id=website_id, before=before)
    return row
