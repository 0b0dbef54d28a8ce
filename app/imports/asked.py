"""Finding an import that somebody asks something of, and noting who asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.accounts.audit import audit
from app.db.base import StoredRow
from app.errors import Conflict, NotFound
from app.imports.tables import imports


async def require_import(connection: AsyncConnection, website_id: str, import_id: str) -> StoredRow:
    """Raises NotFound."""
    row = await find_import(connection, website_id, import_id)
    if row is None:
        raise NotFound("There is no such import in this website.")
    return row


async def find_import(
    connection: AsyncConnection, website_id: str, import_id: str
) -> StoredRow | None:
    if "\0" in import_id:
        return None
    return (
        await connection.execute(
            select(imports).where(imports.c.website_id == website_id, imports.c.id == import_id)
        )
    ).one_or_none()


def require_state(row: StoredRow, states: tuple[str, ...]) -> None:
    if row.state not in states:
        raise Conflict(f"This import is {row.state}, so that cannot be done with it now.")


async def audit_import(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    website_id: str,
    import_id: str,
    after: Mapping[str, Any] | None,
) -> None:
    subject = ("import", import_id)
    await audit(connection, actor, action, website_id=website_id, subject=subject, after=after)
