"""Taking an import back, or some of its rows: what others changed since stays, and is told (SPEC I10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import StoredRow
from app.imports import company_undo, contact_undo
from app.imports.repaired import unmark_repaired
from app.imports.tables import import_rows, imports
from app.imports.traces import take_back_companies
from app.imports.work import Work
from app.websites.rules import lock_website

CHUNK = 300
_AFTER_ALL = 1 << 62


TakeBack = Callable[[AsyncConnection, str, Sequence[StoredRow]], Awaitable[int]]
_TAKE_BACK: Mapping[str, TakeBack] = {
    "contacts": contact_undo.take_back_rows,
    "companies": company_undo.take_back_rows,
}
"""Undoes applied rows; of how many something stays."""


async def undo(work: Work) -> None:
    """All rows that were applied, the last first, in transactions of CHUNK lines."""
    done = False
    while not done:
        done = await work.db.transact(lambda connection: _undo_chunk(connection, work))
    await work.db.transact(lambda connection: _end(connection, work))


async def _undo_chunk(connection: AsyncConnection, work: Work) -> bool:
    await lock_website(connection, work.website_id)
    mine = (
        import_rows.c.website_id == work.website_id,
        import_rows.c.import_id == work.row_id,
        import_rows.c.line < work.checkpoint.get("before", _AFTER_ALL),
    )
    lines = select(import_rows.c.line).where(*mine).order_by(import_rows.c.line.desc())
    first = await connection.scalar(select(func.min(lines.limit(CHUNK).subquery().c.line)))
    if first is None:
        return True
    rows = await connection.execute(
        select(import_rows)
        .where(
            *mine,
            import_rows.c.line >= first,
            import_rows.c.outcome.in_(("create", "update")),
            import_rows.c.state == "applied",
        )
        .order_by(import_rows.c.line.desc())
    )
    found = rows.all()
    kept = await _TAKE_BACK[work.row.kind](connection, work.website_id, found) if found else 0
    counts = dict(work.counts)
    counts["undone"] = counts.get("undone", 0) + len(found) - kept
    counts["kept"] = counts.get("kept", 0) + kept
    checkpoint = {**work.checkpoint, "before": first}
    await work.save(connection, counts=counts, checkpoint=checkpoint)
    work.counts, work.checkpoint = counts, checkpoint
    return False


async def _end(connection: AsyncConnection, work: Work) -> None:
    kept = await take_back_companies(connection, work.website_id, work.row_id)
    sentence = " ".join(kept[:5]) or None
    counts = {**work.counts, "kept_companies": len(kept)}
    await unmark_repaired(connection, work.website_id, work.row.repairs, work.row_id, None)
    ended = {"state": "undone", "finished_at": clock.now(), "lease_owner": None}
    await work.save(connection, counts=counts, error=sentence, **ended)


async def undo_lines(
    connection: AsyncConnection, website_id: str, import_id: str, lines: Sequence[int]
) -> int:
    """Only these rows, at most CHUNK of them; how many were applied until now."""
    await lock_website(connection, website_id)
    rows = await connection.execute(
        select(import_rows).where(
            import_rows.c.website_id == website_id,
            import_rows.c.import_id == import_id,
            import_rows.c.line.in_(lines),
            import_rows.c.outcome.in_(("create", "update")),
            import_rows.c.state == "applied",
        )
    )
    found = rows.all()
    if not found:
        return 0
    own = (imports.c.website_id == website_id, imports.c.id == import_id)
    row = (await connection.execute(select(imports).where(*own))).one()
    await _TAKE_BACK[row.kind](connection, website_id, found)
    await take_back_companies(connection, website_id, import_id)
    states = await _count_states(connection, website_id, import_id)
    counts = {**row.counts, "undone": states.get("undone", 0), "kept": states.get("kept", 0)}
    await connection.execute(imports.update().where(*own).values(counts=counts))
    done = [one.line for one in found]
    await unmark_repaired(connection, website_id, row.repairs, import_id, done)
    return len(found)


async def _count_states(
    connection: AsyncConnection, website_id: str, import_id: str
) -> dict[str, int]:
    rows = await connection.execute(
        select(import_rows.c.state, func.count())
        .where(import_rows.c.website_id == website_id, import_rows.c.import_id == import_id)
        .group_by(import_rows.c.state)
    )
    return {row[0]: row[1] for row in rows}
