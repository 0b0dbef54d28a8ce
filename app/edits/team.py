"""Who of the team looks after a contact or company: one of the operators that Crisp lists (SPEC V2)."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import operators
from app.db.base import StoredRow
from app.edits.three_way import Invalid
from app.records import Owner


async def team_of(connection: AsyncConnection, website_id: str) -> list[StoredRow]:
    """user_id and name, by name."""
    rows = await connection.execute(
        select(operators.c.user_id, operators.c.name)
        .where(operators.c.website_id == website_id)
        .order_by(operators.c.name, operators.c.user_id)
    )
    return list(rows)


async def require_owner(connection: AsyncConnection, website_id: str, user_id: str) -> Owner:
    """Nobody for an empty id. Raises Invalid."""
    if not user_id:
        return (None, None)
    for one in await team_of(connection, website_id):
        if one.user_id == user_id:
            return (one.user_id, one.name)
    raise Invalid({"owner": "The owner is none of this website's operators in Crisp."})
