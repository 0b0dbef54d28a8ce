"""Applying a plan, exactly, in chunks; a row whose contact changed meanwhile is refused (SPEC I7, I9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.problems import Problem
from app.db.base import StoredRow
from app.db.sqlstate import is_bad_value
from app.db.upsert import Row, update_rows
from app.imports import company_commit, contact_commit
from app.imports.ahead import one_ahead
from app.imports.applied_rows import SortedOut, result
from app.imports.chunks import Chunk, is_planned, read_chunks
from app.imports.repaired import mark_repaired
from app.imports.tables import import_rows
from app.imports.work import Work
from app.ingest import BAD_VALUES
from app.websites.rules import lock_website

_KEY = ("website_id", "import_id", "line")
_REFUSED = Problem(
    "refused_by_database",
    "The database refuses a value of this row; nothing of it was written.",
)


Apply = Callable[[AsyncConnection, Work, Sequence[Any]], Awaitable[list[Row]]]
"""Writes the steps that a `SortOut` made, all at once; raises one of BAD_VALUES when the database refuses one."""
SortOut = Callable[[AsyncConnection, Work, Sequence[StoredRow]], Awaitable[SortedOut]]
_KINDS: Mapping[str, tuple[SortOut, Apply]] = {
    "contacts": (contact_commit.sort_out, contact_commit.apply),
    "companies": (company_commit.sort_out, company_commit.apply),
}


async def commit(work: Work) -> None:
    """Every planned row once, in transactions of CHUNK rows, from where the work stopped."""
    async with one_ahead(read_chunks(work)) as chunks:
        async for chunk in chunks:
            await _chunk_or_singly(work, chunk)
    await work.db.transact(lambda connection: _end(connection, work))


async def _chunk_or_singly(work: Work, chunk: Chunk) -> None:
    """A chunk that holds a value which the database refuses is done again, row by row (FAILURES case 53).

    The whole chunk needs no savepoint: SQLite's journal of one makes each later row cost more.
    """
    try:
        await work.db.transact(partial(_commit_chunk, work=work, chunk=chunk, apply=_apply_all))
    except BAD_VALUES as error:
        if not is_bad_value(error):
            raise
        await work.db.transact(partial(_commit_chunk, work=work, chunk=chunk, apply=_apply_singly))


async def _commit_chunk(
    connection: AsyncConnection, work: Work, chunk: Chunk, apply: Apply
) -> None:
    """Counts are made anew: a transaction may be tried again."""
    await lock_website(connection, work.website_id)
    rows = chunk.rows
    sort_out, _ = _KINDS[work.row.kind]
    sorted_out = await sort_out(connection, work, rows)
    results = [
        result(row, "refused", problems=[problem.as_json()]) for row, problem in sorted_out.refused
    ]
    results += await apply(connection, work, sorted_out.steps)
    counts = dict(work.counts)
    for one in results:
        key = "refused" if one["state"] == "refused" else "applied"
        counts[key] = counts.get(key, 0) + 1
    await _save_results(connection, work, rows, results)
    checkpoint = {**work.checkpoint, "done": chunk.last}
    await work.save(connection, counts=counts, checkpoint=checkpoint)
    work.counts, work.checkpoint = counts, checkpoint


async def _apply_all(connection: AsyncConnection, work: Work, steps: Sequence[Any]) -> list[Row]:
    _, apply = _KINDS[work.row.kind]
    return await apply(connection, work, steps) if steps else []


async def _apply_singly(connection: AsyncConnection, work: Work, steps: Sequence[Any]) -> list[Row]:
    results: list[Row] = []
    for step in steps:
        try:
            async with connection.begin_nested():
                results += await _apply_all(connection, work, [step])
        except BAD_VALUES as error:
            if not is_bad_value(error):
                raise
            results.append(result(step.row, "refused", problems=[_REFUSED.as_json()]))
    return results


async def _save_results(
    connection: AsyncConnection, work: Work, rows: Sequence[StoredRow], results: Sequence[Row]
) -> None:
    """Of a row that went as it was planned only the state is new: of all those at once."""
    if not rows:
        return
    planned = {row.line: row for row in rows}
    others = [one for one in results if not _went_as_planned(planned[one["line"]], one)]
    others.sort(key=lambda one: one["line"])
    await update_rows(connection, import_rows, others, key=_KEY)
    await connection.execute(
        update(import_rows)
        .where(*is_planned(work), import_rows.c.line.between(rows[0].line, rows[-1].line))
        .values(state="applied")
    )


def _went_as_planned(row: StoredRow, result: Row) -> bool:
    return (
        result["state"] == "applied"
        and result["changes"] is row.changes
        and result["contact_id"] == row.contact_id
    )


async def _end(connection: AsyncConnection, work: Work) -> None:
    counts = dict(work.counts)
    counts.update(await _count_applied(connection, work))
    ended = {"state": "done", "finished_at": clock.now(), "lease_owner": None, "error": None}
    await mark_repaired(connection, work)
    await work.save(connection, counts=counts, **ended)


async def _count_applied(connection: AsyncConnection, work: Work) -> dict[str, int]:
    rows = await connection.execute(
        select(import_rows.c.outcome, func.count())
        .where(
            import_rows.c.website_id == work.website_id,
            import_rows.c.import_id == work.row_id,
            import_rows.c.outcome.in_(("create", "update")),
            import_rows.c.state == "applied",
        )
        .group_by(import_rows.c.outcome)
    )
    found = {row[0]: row[1] for row in rows}
    return {"created": found.get("create", 0), "updated": found.get("update", 0)}
