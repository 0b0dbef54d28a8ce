"""The segments that a merged contact brings along are marked as such, and leave with it (SPEC D6, D7)."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.segments import shown_segments
from app.contacts.tables import contacts
from app.db.base import StoredRow
from app.db.upsert import Row, update_rows

_MERGED_FROM = "merge:"


async def share_segments(
    connection: AsyncConnection, winner: StoredRow, loser: StoredRow, merge_id: str
) -> None:
    owned = {name: list(owners) for name, owners in winner.segment_sources.items()}
    for name in loser.segments:
        owned.setdefault(name, []).append(f"{_MERGED_FROM}{merge_id}")
    await _keep_segments(connection, winner, owned)


async def unshare_segments(connection: AsyncConnection, winner: StoredRow, merge_id: str) -> None:
    owned = {
        name: left
        for name, owners in winner.segment_sources.items()
        if (left := [owner for owner in owners if owner != f"{_MERGED_FROM}{merge_id}"])
    }
    await _keep_segments(connection, winner, owned)


async def _keep_segments(
    connection: AsyncConnection, row: StoredRow, owned: dict[str, list[str]]
) -> None:
    if owned != row.segment_sources:
        values: Row = {"segments": shown_segments(owned), "segment_sources": owned}
        keyed = {"website_id": row.website_id, "id": row.id, **values}
        await update_rows(connection, contacts, [keyed], key=("website_id", "id"))
