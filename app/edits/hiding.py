"""Deleting hides: conversations are unlinked and no pull brings it back; a person can (SPEC I12)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.companies.tables import companies
from app.contacts.merge import removal
from app.contacts.tables import contacts
from app.db.base import StoredRow
from app.db.changes import note_changes
from app.edits.journal import Kind
from app.edits.merges import require_row
from app.edits.regroup import relink_owned
from app.errors import Refused
from app.websites.rules import lock_website


async def hide(
    connection: AsyncConnection, website_id: str, kind: Kind, ids: Collection[str], actor: Actor
) -> int:
    """Contacts or companies, many at once; how many were there to see until now.

    Raises NotFound, Refused for one that was merged into another; then none is hidden.
    """
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    rows = [await require_row(connection, website_id, kind, one) for one in sorted(set(ids))]
    if any(row.merged_into for row in rows):
        raise Refused(f"This {kind} was merged into another one; take that back first.")
    moment = clock.now()
    hidden = 0
    for row in rows:
        values: dict[str, Any] = {"deleted_at": row.deleted_at or moment, "updated_at": moment}
        if kind == "contact":
            values["hidden_at"] = row.hidden_at or moment
        await _change(connection, kind, row, values, f"{kind}.deleted", actor)
        hidden += row.deleted_at is None
    await relink_owned(connection, website_id, kind, [row.id for row in rows])
    return hidden


async def show(
    connection: AsyncConnection, website_id: str, kind: Kind, row_id: str, actor: Actor
) -> None:
    """Restore it with its conversations. Raises NotFound, Refused where no person had deleted it."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    row = await require_row(connection, website_id, kind, row_id)
    if row.merged_into:
        raise Refused(f"This {kind} was merged into another one; take that back instead.")
    values: dict[str, Any] = {"deleted_at": None, "updated_at": clock.now()}
    if kind == "contact":
        removed_at = removal(row.removed_observed_ms, row.direct_ms)
        if row.hidden_at is None and removed_at is not None:
            raise Refused("Crisp removed this person; only Crisp can bring them back.")
        values |= {"hidden_at": None, "deleted_at": removed_at}
    await _change(connection, kind, row, values, f"{kind}.restored", actor)
    await relink_owned(connection, website_id, kind, [row.id])


async def _change(
    connection: AsyncConnection,
    kind: Kind,
    row: StoredRow,
    values: dict[str, Any],
    action: str,
    actor: Actor,
) -> None:
    table = contacts if kind == "contact" else companies
    await connection.execute(
        update(table)
        .where(table.c.website_id == row.website_id, table.c.id == row.id)
        .values(values)
    )
    note_changes(connection, kind, row.website_id, [row.id])
    await audit(connection, actor, action, website_id=row.website_id, subject=(kind, row.id))
