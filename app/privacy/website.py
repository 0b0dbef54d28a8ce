"""Erasing everything stored of one website (SPEC C8): its rows, its uploads, what the database keeps of them.

The list of erased people stays: connected again, the website must not bring them back.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from app.accounts.actors import Actor, Role
from app.db.session import Database
from app.imports.tables import imports
from app.imports.uploads import forget
from app.privacy.sweep import leave_nothing
from app.websites.connect import disconnect


async def erase_website(db: Database, uploads: Path, website_id: str, actor: Actor) -> None:
    """Raises NotFound, Forbidden."""
    actor.require(Role.ADMIN)
    async with db.read() as connection:
        rows = await connection.execute(
            select(imports.c.file).where(imports.c.website_id == website_id)
        )
        files = list(rows.scalars())
    await disconnect(db, website_id, erase=True, actor=actor)
    for file in files:
        forget(uploads, file)
    await leave_nothing(db)
