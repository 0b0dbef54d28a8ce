"""Taking back rows of a file of contacts: what others changed since stays, and is told (SPEC I10)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.mapping import effective, map_fields
from app.contacts.tables import contacts
from app.conversations.tables import link_decisions
from app.db.base import StoredRow
from app.db.upsert import update_rows
from app.imports.known import find_contacts
from app.imports.tables import import_rows
from app.imports.undo_row import result_of, stays, undoing_of
from app.ingest import delete_untouched, ingest_edits
from app.records import Fields
from app.websites.rules import rules_of

_KEY = ("website_id", "import_id", "line")


async def take_back_rows(
    connection: AsyncConnection, website_id: str, rows: Sequence[StoredRow]
) -> int:
    """Of how many something stays. The caller holds the website's lock."""
    ids = [row.contact_id for row in rows]
    known = await find_contacts(connection, website_id, ids)
    mapping = effective((await rules_of(connection, website_id)).mapping)
    crisp = await _crisp_fields(connection, website_id, ids)
    decided = await _decided(connection, website_id, ids)
    winners = await _winners(connection, website_id, ids)
    undoings = []
    for row in rows:
        contact = known.get(row.contact_id)
        said = crisp.get(row.contact_id, {})
        # What an import made goes back to what Crisp says of it since, or to nothing.
        told = map_fields(mapping, said, said) if row.outcome == "create" else {}
        undoing = undoing_of(row, contact, told)
        if undoing.deletes and row.contact_id in decided:
            undoing.deletes = False
            undoing.kept.append(stays("decided", "Conversations were linked to it by a person."))
        if row.outcome == "create" and row.contact_id in winners:
            # Whoever merged into it answers through it: without it they would be nobody.
            undoing.deletes, undoing.edit = False, None
            undoing.kept.append(stays("merged", "Another contact was merged into it since."))
        undoings.append(undoing)
    await ingest_edits(connection, website_id, [u.edit for u in undoings if u.edit is not None])
    gone = [u.row.contact_id for u in undoings if u.deletes]
    await delete_untouched(connection, website_id, gone)
    await update_rows(
        connection, import_rows, [result_of(u.row, u.kept) for u in undoings], key=_KEY
    )
    return sum(1 for undoing in undoings if undoing.kept)


async def _decided(connection: AsyncConnection, website_id: str, ids: Sequence[str]) -> set[str]:
    """Those to which a person pinned or denied a conversation."""
    rows = await connection.execute(
        select(link_decisions.c.contact_id).where(
            link_decisions.c.website_id == website_id, link_decisions.c.contact_id.in_(ids)
        )
    )
    return {row.contact_id for row in rows}


async def _winners(connection: AsyncConnection, website_id: str, ids: Sequence[str]) -> set[str]:
    """Those into which a person merged another contact."""
    rows = await connection.execute(
        select(contacts.c.merged_into).where(
            contacts.c.website_id == website_id, contacts.c.merged_into.in_(ids)
        )
    )
    return set(rows.scalars())


async def _crisp_fields(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Fields]:
    rows = await connection.execute(
        select(contacts.c.id, contacts.c.crisp_fields).where(
            contacts.c.website_id == website_id,
            contacts.c.id.in_(ids),
            contacts.c.crisp_people_id.is_not(None),
        )
    )
    return {row.id: row.crisp_fields for row in rows}
