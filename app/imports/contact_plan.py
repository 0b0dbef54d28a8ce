"""What each row of a file of contacts would do (SPEC I6, I7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.problems import Problem
from app.db.base import StoredRow, new_id
from app.db.upsert import Row as TableRow
from app.imports.diff import (
    Changes,
    NamedCompany,
    Rules,
    basis_kind,
    changes_of,
    kept_by_hand,
    outcome_of,
    sources_before,
)
from app.imports.known import Known
from app.imports.planned_rows import erased_row, error_row, planned_row, skipped
from app.imports.rows import Row
from app.imports.seen import Seen, addresses_kept, company_keys, look_up
from app.imports.work import Work
from app.sources import is_by_hand


async def look_up_chunk(
    connection: AsyncConnection,
    work: Work,
    rules: Rules,
    chunk: Sequence[Row],
    before: Sequence[TableRow],
) -> Callable[[Row], TableRow]:
    seen = await look_up(connection, work, chunk)
    seen.add(before)
    return partial(_plan_row, work, rules, seen=seen)


def _plan_row(work: Work, rules: Rules, row: Row, *, seen: Seen) -> TableRow:
    holders = seen.holders.get(row.email_norm, [])
    if _names_erased(row, seen):
        return erased_row(work, row)
    problem = None if row.problems else _conflict(row, holders, seen)
    if problem is not None:
        problem = replace(problem, column=_column_of_email(work))
    if row.problems or problem is not None:
        return error_row(work, row, [*row.problems, *([problem] if problem else [])])
    known = holders[0] if holders else None
    changes = changes_of(row, known, rules, _named_company(row, seen))
    outcome = outcome_of(rules, known, changes)
    seen.lines.setdefault(row.email_norm, row.line)
    if known is not None:
        seen.contact_lines.setdefault(known.row.id, row.line)
    why = _SKIPPED[rules.mode] if outcome == "skip" else []
    kept = kept_by_hand(row, known, rules)
    planned = planned_row(work, row, outcome, [*why, *row.notes, *kept])
    if row.company is not None and row.description and outcome != "skip":
        planned["company_key"], *_ = company_keys(row, seen)
        seen.company_keys.update(company_keys(row, seen))
    if outcome in {"create", "update"}:
        planned["changes"] = _with_ids(changes, known)
        if "company" in changes:
            _note_domain(row, seen)
    if known is not None:
        planned["contact_id"] = known.row.id
        planned["basis"] = known.digest(basis_kind(row))
    elif outcome == "create":
        planned["contact_id"] = new_id()
    return planned


def _with_ids(changes: Changes, known: Known | None) -> Changes:
    """And what an undo will need. A commit then has nothing more to write into rows that went well."""
    if known is not None and "fields" in changes:
        changes["sources"] = sources_before(changes, known)
    if (company := changes.get("company")) and company["joins"]:
        company["opened"] = new_id()
    return changes


def _names_erased(row: Row, seen: Seen) -> bool:
    return bool(seen.erased) and not seen.erased.isdisjoint(addresses_kept(row))


def _column_of_email(work: Work) -> str | None:
    return next((told["column"] for told in work.row.columns if told["to"] == "email"), None)


def _conflict(row: Row, holders: Sequence[Known], seen: Seen) -> Problem | None:
    if (line := seen.lines.get(row.email_norm)) is not None:
        reason = f"The same address stands in line {line}, which counts."
        return Problem(
            "duplicate_address", reason, "email", row.email, "Remove this row, or that one."
        )
    if len(holders) > 1:
        return Problem(
            "ambiguous_address",
            f"{len(holders)} contacts have this address.",
            "email",
            row.email,
            "Merge them, or use an address that only one of them has.",
        )
    if holders and (line := seen.contact_lines.get(holders[0].row.id)) is not None:
        reason = f"Line {line} is about the same contact, which has both addresses."
        return Problem(
            "duplicate_contact", reason, "email", row.email, "Remove this row, or that one."
        )
    return None


def _named_company(row: Row, seen: Seen) -> NamedCompany | None:
    if row.company is None:
        return None
    found = seen.companies.get(row.company.key)
    first = seen.company_keys.isdisjoint(company_keys(row, seen))
    if found is None:
        return NamedCompany(None, None, first)
    by_hand = is_by_hand(found.field_sources, "attributes.description")
    told = found.attributes.get("description")
    return NamedCompany(found.id, told, first, by_hand, _wants_domain(row, found, seen))


def _wants_domain(row: Row, found: StoredRow, seen: Seen) -> bool:
    if row.company is None or row.company.domain is None or found.domain is not None:
        return False
    return found.id not in seen.given_domains and not is_by_hand(found.field_sources, "domain")


def _note_domain(row: Row, seen: Seen) -> None:
    """Of many rows that tell a company's domain only the first changes it."""
    found = seen.companies.get(row.company.key) if row.company is not None else None
    if found is not None and row.company is not None and row.company.domain is not None:
        seen.given_domains.add(found.id)


_SKIPPED = skipped(
    {
        "create-only": ("exists", "A contact with this address exists already."),
        "update-only": ("unknown_contact", "No contact has this address."),
    }
)
