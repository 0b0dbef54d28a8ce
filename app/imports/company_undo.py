"""Taking back rows of a file of companies: what others changed since stays, and is told (SPEC I10)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.edited import companies_in_use, delete_companies
from app.companies.store import Alias
from app.companies.tables import company_aliases
from app.contacts.problems import Problem
from app.db.base import StoredRow
from app.db.lookup import find_rows
from app.db.upsert import Row, update_rows
from app.imports.diff import same
from app.imports.known_companies import KnownCompany, companies_by_id
from app.imports.tables import import_rows
from app.imports.undo_row import changed_since, result_of, stays
from app.ingest import ingest_company_edits
from app.records import CompanyEdit, Fields

_KEY = ("website_id", "import_id", "line")


@dataclass(slots=True)
class Undoing:
    """What becomes of one row: the company goes, or gets this edit; `kept` tells what stays and why."""

    row: StoredRow
    edit: CompanyEdit | None = None
    deletes: bool = False
    kept: list[Problem] = field(default_factory=list)


async def take_back_rows(
    connection: AsyncConnection, website_id: str, rows: Sequence[StoredRow]
) -> int:
    """Of how many something stays. The caller holds the website's lock."""
    ids = sorted({row.company_id for row in rows})
    known = await companies_by_id(connection, website_id, ids)
    used = await companies_in_use(connection, website_id, ids)
    aliases = await _own_aliases(connection, website_id, ids)
    undoings = [
        _undoing_of(row, known.get(row.company_id), used, aliases.get(row.company_id, set()))
        for row in rows
    ]
    edits = [undoing.edit for undoing in undoings if undoing.edit is not None]
    await ingest_company_edits(connection, website_id, edits)
    gone = [undoing.row.company_id for undoing in undoings if undoing.deletes]
    await delete_companies(connection, website_id, gone)
    results: list[Row] = [result_of(one.row, one.kept) for one in undoings]
    await update_rows(connection, import_rows, results, key=_KEY)
    return sum(1 for undoing in undoings if undoing.kept)


async def _own_aliases(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, set[Alias]]:
    """By company, what it goes by itself, without those of companies that were merged into it."""
    told = ("kind", "value", "own_company_id")
    rows = await find_rows(
        connection, company_aliases, website_id, ("company_id",), [(one,) for one in ids], told
    )
    found: dict[str, set[Alias]] = {}
    for row in rows:
        if row.own_company_id is None:
            found.setdefault(row.company_id, set()).add((row.kind, row.value))
    return found


def _undoing_of(
    row: StoredRow, known: KnownCompany | None, used: Collection[str], own: set[Alias]
) -> Undoing:
    if known is None:
        return Undoing(row, kept=[stays("company_gone", "The company does not exist any more.")])
    if known.row.deleted_at is not None:
        return Undoing(row, kept=[stays("company_removed", "It was removed or merged since.")])
    if row.outcome == "create":
        return _made_back(row, known, used, own)
    return _changed_back(row, known, own)


def _made_back(
    row: StoredRow, known: KnownCompany, used: Collection[str], own: set[Alias]
) -> Undoing:
    told = {target: new for target, (_, new) in row.changes.get("fields", {}).items()}
    now = {"name": known.row.name, "domain": known.row.domain}
    now |= {f"attributes.{key}": value for key, value in known.row.attributes.items()}
    others = {t for t, value in now.items() if not same(value, told.get(t))}
    others |= {t for t in told if t not in now}
    if known.row.id in used:
        reason = "It has contacts, domains or an owner since, or others were merged into it."
        return Undoing(row, kept=[stays("company_used", reason)])
    if others or not own <= set(_aliases(row)):
        what = ", ".join(sorted(others)) or "names"
        return Undoing(row, kept=[stays("company_changed", f"It has other values since: {what}.")])
    return Undoing(row, deletes=True)


def _changed_back(row: StoredRow, known: KnownCompany, own: set[Alias]) -> Undoing:
    """Each field that still has the value of the file gets back what it had before."""
    undoing = Undoing(row)
    fields: Fields = {}
    for target, (old, new) in row.changes.get("fields", {}).items():
        if same(known.at(target), new):
            fields[target] = old
        else:
            undoing.kept.append(changed_since(target, known.at(target)))
    before = row.changes.get("sources", {})
    undoing.edit = CompanyEdit(
        company_id=row.company_id,
        fields=fields,
        sources={target: before.get(target) for target in fields},
        lost_aliases=tuple(alias for alias in _aliases(row) if alias in own),
    )
    return undoing


def _aliases(row: StoredRow) -> list[Alias]:
    return [(kind, value) for kind, value in row.changes.get("aliases", ())]
