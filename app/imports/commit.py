"""Applying a plan, exactly, in chunks; a row whose contact changed meanwhile is refused (SPEC I7, I9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.problems import Problem
from app.db.base import StoredRow, new_id
from app.db.sqlstate import is_bad_value
from app.db.upsert import Row, update_rows
from app.imports.ahead import one_ahead
from app.imports.chunks import Chunk, is_planned, read_chunks
from app.imports.diff import SOURCE, sources_before, value_of
from app.imports.known import Known, find_holders
from app.imports.repaired import mark_repaired
from app.imports.tables import import_rows
from app.imports.traces import keep_traces
from app.imports.work import Work
from app.ingest import BAD_VALUES, Edited, ingest_edits
from app.records import CompanyRef, ContactEdit, Fields
from app.sources import INFERRED, source
from app.websites.rules import lock_website

_KEY = ("website_id", "import_id", "line")
_CHANGED = Problem(
    "changed_meanwhile",
    "The contact was changed after the plan was made; nothing of this row was written.",
    suggestion="Plan this import again.",
)
_REFUSED = Problem(
    "refused_by_database",
    "The database refuses a value of this row; nothing of it was written.",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One planned row that can be applied, the contact it is about, and what is to be written."""

    row: StoredRow
    known: Known | None
    edit: ContactEdit


Apply = Callable[[AsyncConnection, Work, Sequence[Step]], Awaitable[list[Row]]]


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
        await work.db.transact(partial(_commit_chunk, work=work, chunk=chunk, apply=_apply))
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
    holders = await find_holders(connection, work.website_id, [row.email_norm for row in rows])
    steps, refused = _sort_out(work, rows, holders)
    results = [_result(row, "refused", problems=[_CHANGED.as_json()]) for row in refused]
    results += await apply(connection, work, steps)
    counts = dict(work.counts)
    for result in results:
        key = "refused" if result["state"] == "refused" else "applied"
        counts[key] = counts.get(key, 0) + 1
    await _save_results(connection, work, rows, results)
    checkpoint = {**work.checkpoint, "done": chunk.last}
    await work.save(connection, counts=counts, checkpoint=checkpoint)
    work.counts, work.checkpoint = counts, checkpoint


def _sort_out(
    work: Work, rows: Sequence[StoredRow], holders: Mapping[str, list[Known]]
) -> tuple[list[Step], list[StoredRow]]:
    steps, refused = [], []
    for row in rows:
        found = holders.get(row.email_norm, [])
        known = found[0] if found else None
        if len(found) > 1 or not _is_as_planned(row, known):
            refused.append(row)
        else:
            steps.append(Step(row, known, _edit(work, row, known)))
    return steps, refused


def _is_as_planned(row: StoredRow, known: Known | None) -> bool:
    if known is None or row.outcome == "create":
        return known is None and row.outcome == "create"
    if row.contact_id != known.row.id or known.digest(row.basis[0]) != row.basis:
        return False
    company = row.changes.get("company")
    return company is None or company["open"] == [link.id for link in known.memberships]


def _edit(work: Work, row: StoredRow, known: Known | None) -> ContactEdit:
    changes: dict[str, Any] = row.changes
    fields: Fields = {t: value_of(t, new) for t, (_, new) in changes.get("fields", {}).items()}
    told = source(SOURCE, clock.now(), work.row_id)
    sources: Fields = dict.fromkeys(fields, told)
    if "name" in fields and _is_inferred(changes):
        sources["name"] = {**told, "source": INFERRED}
    segments = changes.get("segments")
    company = changes.get("company") or {}
    named = company.get("name") or company.get("domain")
    return ContactEdit(
        contact_id=known.row.id if known is not None else row.contact_id or new_id(),
        fields=fields,
        sources=sources,
        made_by="csv" if known is None else None,
        email=changes.get("email"),
        segment_sources=segments[1] if segments else ({} if known is None else None),
        company=CompanyRef(company["name"], company["domain"]) if named else None,
        joins=bool(company.get("joins")),
        membership_id=company.get("opened"),
        described=company["described"][1] if company.get("described") else None,
        closed=tuple(company.get("closes", ())),
    )


def _is_inferred(changes: Mapping[str, Any]) -> bool:
    return bool(changes.get("inferred"))


async def _apply(connection: AsyncConnection, work: Work, steps: Sequence[Step]) -> list[Row]:
    """All of them at once; raises one of BAD_VALUES when the database refuses one."""
    if not steps:
        return []
    edited = await ingest_edits(connection, work.website_id, [step.edit for step in steps])
    await keep_traces(connection, work.website_id, work.row_id, edited.companies)
    return [_applied(step, edited) for step in steps]


async def _apply_singly(
    connection: AsyncConnection, work: Work, steps: Sequence[Step]
) -> list[Row]:
    results: list[Row] = []
    for step in steps:
        try:
            async with connection.begin_nested():
                results += await _apply(connection, work, [step])
        except BAD_VALUES as error:
            if not is_bad_value(error):
                raise
            results.append(_result(step.row, "refused", problems=[_REFUSED.as_json()]))
    return results


def _applied(step: Step, edited: Edited) -> Row:
    """What was there before goes into the row, so that an undo finds it, where the plan knew it otherwise."""
    changes = step.row.changes
    if step.known is not None and "fields" in changes:
        before = sources_before(changes, step.known)
        if changes.get("sources") != before:
            changes = {**changes, "sources": before}
    contact_id = step.edit.contact_id
    opened = edited.memberships.get(contact_id)
    if opened is not None and "company" in changes and changes["company"].get("opened") != opened:
        changes = {**changes, "company": {**changes["company"], "opened": opened}}
    return _result(step.row, "applied", contact_id=contact_id, changes=changes)


def _result(row: StoredRow, state: str, **values: Any) -> Row:
    kept = {"contact_id": row.contact_id, "changes": row.changes, "problems": row.problems}
    key = {"website_id": row.website_id, "import_id": row.import_id, "line": row.line}
    return {**key, "state": state, **kept, **values}


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
