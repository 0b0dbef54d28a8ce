"""Planned rows of a file of companies, written (SPEC I7, D6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.companies.store import Alias
from app.contacts.problems import Problem
from app.db.base import StoredRow
from app.db.upsert import Row
from app.imports.applied_rows import SortedOut, changed_meanwhile, result
from app.imports.diff import SOURCE
from app.imports.known_companies import KnownCompany, companies_by_alias, companies_by_id
from app.imports.work import Work
from app.ingest import ingest_company_edits
from app.normal import normal_company_name
from app.records import CompanyEdit, Fields
from app.sources import source

_CHANGED = changed_meanwhile("company")


@dataclass(frozen=True, slots=True)
class Step:
    """One planned row that can be applied, and what is to be written."""

    row: StoredRow
    edit: CompanyEdit


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has an alias: a stored company, or that of an earlier row."""

    name: str
    domain: str | None


async def sort_out(connection: AsyncConnection, work: Work, rows: Sequence[StoredRow]) -> SortedOut:
    ids = [row.company_id for row in rows if row.outcome == "update"]
    known = await companies_by_id(connection, work.website_id, ids)
    wanted = {alias for row in rows for alias in _planned_aliases(row)}
    holders = await companies_by_alias(connection, work.website_id, wanted)
    taken = {alias: Holder(one.row.name, one.row.domain) for alias, one in holders.items()}
    steps, refused = [], []
    for row in rows:
        company = known.get(row.company_id)
        problem = _CHANGED if _is_changed(row, company) else _taken(row, taken)
        if problem is not None:
            refused.append((row, problem))
            continue
        free = tuple(alias for alias in _planned_aliases(row) if alias not in taken)
        steps.append(Step(row, _edit(work, row, free)))
        taken |= dict.fromkeys(free, _holder(row, company))
    return SortedOut(steps, refused)


def _holder(row: StoredRow, known: KnownCompany | None) -> Holder:
    new = {target: value for target, (_, value) in row.changes.get("fields", {}).items()}
    name, domain = (known.row.name, known.row.domain) if known is not None else ("", None)
    return Holder(new.get("name", name), new.get("domain", domain))


def _planned_aliases(row: StoredRow) -> list[Alias]:
    return [(kind, value) for kind, value in row.changes.get("aliases", ())]


def _is_changed(row: StoredRow, company: KnownCompany | None) -> bool:
    return row.outcome == "update" and (company is None or company.digest != row.basis)


def _taken(row: StoredRow, holders: Mapping[Alias, Holder]) -> Problem | None:
    """Why the row cannot have what it was to have: a company has it since, or one of an earlier row."""
    for alias in _planned_aliases(row):
        holder = holders.get(alias)
        if holder is not None and not (holder.domain and _is_own_name(alias, row)):
            return Problem(
                "alias_taken",
                f"{holder.name} has the {alias[0]} {alias[1]} since the plan was made; "
                "nothing of this row was written.",
                suggestion="Plan this import again.",
            )
    return None


def _is_own_name(alias: Alias, row: StoredRow) -> bool:
    """The name of a new company with a domain: others with a domain may have it, too (SPEC D6)."""
    fields: dict[str, list[Any]] = row.changes.get("fields", {})
    if row.outcome != "create" or "domain" not in fields:
        return False
    return alias == ("name", normal_company_name(fields["name"][1]))


def _edit(work: Work, row: StoredRow, aliases: tuple[Alias, ...]) -> CompanyEdit:
    fields: Fields = {t: new for t, (_, new) in row.changes.get("fields", {}).items()}
    told = source(SOURCE, clock.now(), work.row_id)
    return CompanyEdit(
        company_id=row.company_id,
        fields=fields,
        sources=dict.fromkeys(fields, told),
        made=row.outcome == "create",
        added_aliases=aliases,
    )


async def apply(connection: AsyncConnection, work: Work, steps: Sequence[Step]) -> list[Row]:
    await ingest_company_edits(connection, work.website_id, [step.edit for step in steps])
    return [_applied(step) for step in steps]


def _applied(step: Step) -> Row:
    """With the aliases that it got, which are fewer than planned where two companies share a name."""
    changes = step.row.changes
    got = [list(alias) for alias in step.edit.added_aliases]
    if changes.get("aliases", []) != got:
        changes = {**changes, "aliases": got}
    return result(step.row, "applied", changes=changes)
