"""What POSTs with an idempotency key were answered: asked again, the answer is given again, nothing is done.

Kept for a day. An answer may hold what somebody wrote, so whoever erases a person empties the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    and_,
    delete,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor
from app.db.base import UtcDateTime, plain_table
from app.db.upsert import insert_for
from app.errors import Conflict, Refused

KEPT = timedelta(hours=24)
LONGEST_BODY = 64 * 1024
"""A longer answer is not kept; asked again, it is refused instead of done again."""

api_replies = plain_table(
    "api_replies",
    Column("actor_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    # SHA-256 of method, address and body.
    Column("asked_hash", Text, nullable=False),
    # None while the first one is still being worked on.
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("actor_id", "key"),
    Index(None, "created_at"),
)

_r = api_replies.c


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str


async def begin(
    connection: AsyncConnection, actor: Actor, key: str, asked_hash: str
) -> Reply | None:
    """None: do it, and call `keep` or `forget`. Else what it was answered. Raises Refused, Conflict."""
    await connection.execute(delete(api_replies).where(_r.created_at < clock.now() - KEPT))
    inserted = await connection.execute(
        insert_for(connection, api_replies)
        .values(actor_id=actor.id, key=key, asked_hash=asked_hash, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(_r.key)
    )
    if inserted.scalar_one_or_none() is not None:
        return None
    row = (await connection.execute(select(api_replies).where(_is(actor, key)))).one()
    if row.asked_hash != asked_hash:
        raise Refused("This Idempotency-Key was used for another request: take a new one.")
    if row.status is None:
        raise Conflict("The first request with this Idempotency-Key is still being worked on.")
    if row.body is None:
        raise Conflict("It was done already; its answer was too long to be kept.")
    return Reply(row.status, row.body)


async def keep(connection: AsyncConnection, actor: Actor, key: str, reply: Reply) -> None:
    body = reply.body if len(reply.body) <= LONGEST_BODY else None
    await connection.execute(
        update(api_replies).where(_is(actor, key)).values(status=reply.status, body=body)
    )


async def forget(connection: AsyncConnection, actor: Actor, key: str) -> None:
    """It failed, so it may be tried again."""
    await connection.execute(delete(api_replies).where(_is(actor, key)))


def _is(actor: Actor, key: str) -> ColumnElement[bool]:
    return and_(_r.actor_id == actor.id, _r.key == key)
