"""The custom attributes of a website: their keys, types and, for choices, their values (SPEC I3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.tables import custom_attributes
from app.db.upsert import Row, upsert
from app.errors import Refused


@dataclass(frozen=True, slots=True)
class Attribute:
    key: str
    type: str
    choices: tuple[str, ...] = ()


async def known_attributes(connection: AsyncConnection, website_id: str) -> dict[str, Attribute]:
    rows = await connection.execute(
        select(custom_attributes)
        .where(custom_attributes.c.website_id == website_id)
        .order_by(custom_attributes.c.key)
    )
    return {row.key: Attribute(row.key, row.type, tuple(row.choices)) for row in rows}


async def check_attributes(
    connection: AsyncConnection, website_id: str, told: Iterable[Attribute]
) -> None:
    """Raises Refused for one that is of another type already."""
    known = await known_attributes(connection, website_id)
    for attribute in told:
        stored = known.get(attribute.key)
        if stored is not None and stored.type != attribute.type:
            raise Refused(
                f"{attribute.key} is of the type {stored.type} here, not {attribute.type}: "
                "choose that type, or another key."
            )


async def define_attributes(
    connection: AsyncConnection, website_id: str, told: Iterable[Attribute], by: str
) -> None:
    """New ones are kept, and new values of a choice are added to those it has. Raises Refused."""
    wanted = sorted(told, key=lambda attribute: attribute.key)
    await check_attributes(connection, website_id, wanted)
    known = await known_attributes(connection, website_id)
    rows: list[Row] = []
    for attribute in wanted:
        stored = known.get(attribute.key)
        choices = [*(stored.choices if stored else ()), *attribute.choices]
        rows.append(
            {
                "website_id": website_id,
                "key": attribute.key,
                "type": attribute.type,
                "choices": list(dict.fromkeys(choices)),
                "created_by": by,
                "created_at": clock.now(),
            }
        )
    await upsert(
        connection, custom_attributes, rows, key=("website_id", "key"), update=("choices",)
    )
