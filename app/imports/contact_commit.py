"""Planned rows of a file of contacts, written (SPEC I7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import StoredRow, new_id
from app.db.upsert import Row
from app.imports.applied_rows import SortedOut, changed_meanwhile, result
from app.imports.diff import SOURCE, sources_before, value_of
from app.imports.known import Known, find_holders
from app.imports.traces import keep_traces
from app.imports.work import Work
from app.ingest import Edited, ingest_edits
from app.records import CompanyRef, ContactEdit, Fields
from app.sources import INFERRED, source

_CHANGED = changed_meanwhile("contact")


@dataclass(frozen=True, slots=True)
class Step:
    """One planned row that can be applied, the contact it is about, and what is to be written."""

    row: StoredRow
    known: Known | None
    edit: ContactEdit


async def sort_out(connection: AsyncConnection, work: Work, rows: Sequence[StoredRow]) -> SortedOut:
    holders = await find_holders(connection, work.website_id, [row.email_norm for row in rows])
    steps, refused = [], []
    for row in rows:
        found = holders.get(row.email_norm, [])
        known = found[0] if found else None
        if len(found) > 1 or not _is_as_planned(row, known):
            refused.append((row, _CHANGED))
        else:
            steps.append(Step(row, known, _edit(work, row, known)))
    return SortedOut(steps, refused)


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


async def apply(connection: AsyncConnection, work: Work, steps: Sequence[Step]) -> list[Row]:
    edited = await ingest_edits(connection, work.website_id, [step.edit for step in steps])
    await keep_traces(connection, work.website_id, work.row_id, edited.companies)
    return [_applied(step, edited) for step in steps]


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
    return result(step.row, "applied", contact_id=contact_id, changes=changes)
