"""Taking an import back, or some of its rows: what others changed since stays, and is told (SPEC I10)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.mapping import effective, map_fields
from app.contacts.tables import contacts
from app.conversations.tables import link_decisions
from app.db.base import StoredRow
from app.db.upsert import update_rows
from app.imports.known import find_contacts
from app.imports.repaired import unmark_repaired
from app.imports.tables import import_rows, imports
from app.imports.traces import take_back_companies
from app.imports.undo_row import result_of, stays, undoing_of
from app.imports.work import Work
from app.ingest import delete_untouched, ingest_edits
from app.records import Fields
from app.websites.rules import lock_website, rules_of

CHUNK = 300
_AFTER_ALL = 1 << 62
_KEY = ("website_id", "import_id", "line")


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
    kept = await take_back_rows(connection, work.website_id, found) if found else 0
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
    await update_rows(connection, import_rows, [result_of(u) for u in undoings], key=_KEY)
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
    await take_back_rows(connection, website_id, found)
    await take_back_companies(connection, website_id, import_id)
    own = (imports.c.website_id == website_id, imports.c.id == import_id)
    row = (await connection.execute(select(imports).where(*own))).one()
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
