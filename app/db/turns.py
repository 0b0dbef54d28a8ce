"""Whose turn it is for what one process does for all, again and again; on the database's clock."""

from __future__ import annotations

from sqlalchemy import Column, Text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import BigInt, plain_table
from app.db.session import Database
from app.db.upsert import db_now_ms, insert_for

turns = plain_table(
    "turns",
    Column("name", Text, primary_key=True),
    # When somebody last took it, epoch ms.
    Column("taken_ms", BigInt, nullable=False),
)


async def take_turn(db: Database, name: str, every_seconds: float) -> bool:
    """True for one of all that ask, when the last one is `every_seconds` ago."""

    async def work(connection: AsyncConnection) -> bool:
        new = insert_for(connection, turns).values(name=name, taken_ms=0)
        await connection.execute(new.on_conflict_do_nothing(index_elements=["name"]))
        now_ms = db_now_ms(connection)
        taken = await connection.execute(
            update(turns)
            .where(turns.c.name == name, turns.c.taken_ms <= now_ms - round(every_seconds * 1000))
            .values(taken_ms=now_ms)
        )
        return bool(taken.rowcount)

    return await db.transact(work)


async def give_turn_back(db: Database, name: str, seconds: float, every_seconds: float) -> None:
    """It came to nothing: somebody may take it again in `seconds`."""

    async def work(connection: AsyncConnection) -> None:
        earlier = round((every_seconds - seconds) * 1000)
        await connection.execute(
            update(turns)
            .where(turns.c.name == name)
            .values(taken_ms=db_now_ms(connection) - earlier)
        )

    await db.transact(work)
