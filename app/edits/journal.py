"""The merges of a website: what a person merged into what, and what the winner took from the loser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import StoredRow, new_id
from app.errors import NotFound
from app.matching.tables import merges

Kind = Literal["contact", "company"]


async def open_merges(connection: AsyncConnection, website_id: str, kind: Kind) -> list[StoredRow]:
    """Those that were not taken back, in the order in which they were made."""
    rows = await connection.execute(
        select(merges)
        .where(
            merges.c.website_id == website_id,
            merges.c.kind == kind,
            merges.c.undone_at.is_(None),
        )
        .order_by(merges.c.number)
    )
    return list(rows)


def members_of(root: str, opened: Iterable[StoredRow]) -> set[str]:
    """`root` and all that were merged into it, or into one of those."""
    losers: dict[str, list[str]] = {}
    for merge in opened:
        losers.setdefault(merge.winner_id, []).append(merge.loser_id)
    found, ahead = {root}, [root]
    while ahead:
        new = [one for one in losers.get(ahead.pop(), ()) if one not in found]
        found.update(new)
        ahead.extend(new)
    return found


async def require_merge(connection: AsyncConnection, website_id: str, merge_id: str) -> StoredRow:
    """Raises NotFound, also for one that was taken back already."""
    row = (
        await connection.execute(
            select(merges).where(
                merges.c.website_id == website_id,
                merges.c.id == merge_id,
                merges.c.undone_at.is_(None),
            )
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such merge, or it was taken back already.")
    return row


async def write_merge(
    connection: AsyncConnection,
    website_id: str,
    kind: Kind,
    pair: tuple[str, str],
    fields: dict[str, Any],
    by: str,
) -> str:
    """`pair`: the loser's and the winner's id. The merge's id."""
    newest = await connection.scalar(
        select(func.max(merges.c.number)).where(merges.c.website_id == website_id)
    )
    merge_id = new_id()
    await connection.execute(
        insert(merges).values(
            website_id=website_id,
            id=merge_id,
            number=(newest or 0) + 1,
            kind=kind,
            loser_id=pair[0],
            winner_id=pair[1],
            fields=fields,
            merged_at=clock.now(),
            merged_by=by,
        )
    )
    return merge_id


async def keep_fields(
    connection: AsyncConnection, website_id: str, merge_id: str, fields: dict[str, Any]
) -> None:
    await _set(connection, website_id, merge_id, fields=fields)


async def close_merge(connection: AsyncConnection, website_id: str, merge_id: str, by: str) -> None:
    await _set(connection, website_id, merge_id, undone_at=clock.now(), undone_by=by)


async def _set(connection: AsyncConnection, website_id: str, merge_id: str, **values: Any) -> None:
    await connection.execute(
        update(merges)
        .where(merges.c.website_id == website_id, merges.c.id == merge_id)
        .values(values)
    )
