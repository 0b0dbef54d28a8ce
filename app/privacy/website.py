"""Erasing everything stored of one website (SPEC C8): its rows, its uploads, what the database keeps of them.

The list of erased people stays: connected again, the website must not bring them back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import SYSTEM, Actor, Role
from app.db.session import Database
from app.imports.tables import imports
from app.imports.uploads import forget
from app.privacy.outside import keep_website
from app.privacy.sweep import leave_nothing
from app.websites.connect import forget_website

Last: TypeAlias = Callable[[AsyncConnection], Awaitable[None]]


async def erase_website(db: Database, uploads: Path, website_id: str, actor: Actor) -> None:
    """Raises NotFound, Forbidden, NotKept."""
    actor.require(Role.ADMIN)
    await _erase(db, uploads, website_id, actor, partial(keep_website, website_id=website_id))


async def erase_again(db: Database, uploads: Path, website_id: str) -> None:
    """A restored one: that it was erased is written down already. Raises NotFound."""
    await _erase(db, uploads, website_id, SYSTEM, None)


async def _erase(
    db: Database, uploads: Path, website_id: str, actor: Actor, last: Last | None
) -> None:
    async with db.read() as connection:
        rows = await connection.execute(
            select(imports.c.file).where(imports.c.website_id == website_id)
        )
        files = list(rows.scalars())
    await forget_website(db, website_id, actor=actor, last=last)
    for file in files:
        forget(uploads, file)
    await leave_nothing(db)
