"""What each row of a file of companies would do (SPEC I6, I7, D6).

Changes of such a row, as JSON: `fields` {target: [old, new]}, `aliases` [[kind, value]] that the company
gets, `sources` {target: who wrote it before}. Aliases are only ever added: conversations and profiles
find the company by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.store import Alias
from app.contacts.erased import find_erased
from app.contacts.problems import Problem
from app.db.base import new_id
from app.db.upsert import Row as TableRow
from app.imports.diff import (
    Changes,
    Rules,
    changed_fields,
    kept_by_hand,
    new_fields,
    outcome_of,
    sources_before,
)
from app.imports.known_companies import KnownCompany, companies_by_alias
from app.imports.planned_rows import erased_row, error_row, planned_row, skipped
from app.imports.rows import Row
from app.imports.seen import addresses_in, earlier_lines
from app.imports.work import Work
from app.normal import normal_company_name


@dataclass(frozen=True, slots=True)
class Claim:
    """The line whose company gets an alias, and whether it gets a domain with it."""

    line: int
    has_domain: bool


@dataclass(slots=True)
class CompaniesSeen:
    """Who has the aliases that a chunk names, and which line of the file was first to name a company."""

    holders: dict[Alias, KnownCompany]
    lines: dict[str, int] = field(default_factory=dict)
    claimed: dict[Alias, Claim] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def add(self, planned: Iterable[TableRow]) -> None:
        for row in planned:
            if row["outcome"] == "error":
                continue
            self.lines.setdefault(row["company_key"], row["line"])
            aliases = (row["changes"] or {}).get("aliases", ())
            claim = Claim(row["line"], any(kind == "domain" for kind, _ in aliases))
            for kind, value in aliases:
                self.claimed.setdefault((kind, value), claim)


async def look_up_chunk(
    connection: AsyncConnection,
    work: Work,
    rules: Rules,
    chunk: Sequence[Row],
    before: Sequence[TableRow],
) -> Callable[[Row], TableRow]:
    good = [row for row in chunk if not row.problems]
    aliases = {alias for row in good for alias in _aliases(row)}
    seen = CompaniesSeen(await companies_by_alias(connection, work.website_id, aliases))
    keys = sorted({_key(row, _known(row, seen)) for row in good})
    seen.lines = await earlier_lines(connection, work, "company_key", keys, chunk[0].line)
    named = {address for row in chunk for address in addresses_in(row)}
    seen.erased = await find_erased(connection, work.website_id, named)
    seen.add(before)
    return partial(_plan_row, work, rules, seen=seen)


def _plan_row(work: Work, rules: Rules, row: Row, *, seen: CompaniesSeen) -> TableRow:
    if seen.erased and not seen.erased.isdisjoint(addresses_in(row)):
        return erased_row(work, row)
    if row.problems:
        return error_row(work, row, row.problems)
    known = _known(row, seen)
    problem = _conflict(row, known, seen)
    if problem is not None:
        return error_row(work, row, [problem]) | {"company_key": _key_in_file(row)}
    row = replace(row, told={**_main_fields(row, known), **row.told})
    changes = _changes(row, known, rules, seen)
    outcome = outcome_of(rules, known, changes)
    why = _SKIPPED[rules.mode] if outcome == "skip" else []
    planned = planned_row(work, row, outcome, [*why, *row.notes, *kept_by_hand(row, known, rules)])
    planned["company_key"] = _key(row, known)
    if outcome in {"create", "update"}:
        planned["changes"] = changes
    if known is not None:
        planned |= {"company_id": known.row.id, "basis": known.digest}
    elif outcome == "create":
        planned["company_id"] = new_id()
    seen.add([planned])
    return planned


def _aliases(row: Row) -> list[Alias]:
    """The one that identifies the company is the first."""
    if row.company is None:
        return []
    name = normal_company_name(row.company.name or "")
    named: list[Alias] = [("name", name)] if name else []
    return list(dict.fromkeys([row.company.key, *named, *row.aliases]))


def _known(row: Row, seen: CompaniesSeen) -> KnownCompany | None:
    """By its domain, else by its name one whose domain nobody told yet."""
    if row.company is None:
        return None
    found = seen.holders.get(row.company.key)
    if found is not None or row.company.domain is None or not row.company.name:
        return found
    namesake = seen.holders.get(("name", normal_company_name(row.company.name)))
    return namesake if namesake is not None and namesake.row.domain is None else None


def _key(row: Row, known: KnownCompany | None) -> str:
    return f"id:{known.row.id}" if known is not None else _key_in_file(row)


def _key_in_file(row: Row) -> str:
    return ":".join(row.company.key) if row.company is not None else ""


def _conflict(row: Row, known: KnownCompany | None, seen: CompaniesSeen) -> Problem | None:
    if known is not None and known.row.deleted_at is not None:
        reason = f"{known.row.name} was removed by a person."
        return Problem("company_removed", reason, suggestion="Restore it on its page first.")
    if (line := seen.lines.get(_key(row, known))) is not None:
        reason = f"The same company stands in line {line}, which counts."
        return Problem("duplicate_company", reason, suggestion="Remove this row, or that one.")
    for alias in _aliases(row):
        holder = seen.holders.get(alias)
        if (
            holder is not None
            and not _is(holder, known)
            and not (holder.row.domain and _may_share(alias, row))
        ):
            return Problem(
                "alias_taken",
                f"{holder.row.name} has the {alias[0]} {alias[1]} already.",
                suggestion="Merge the two companies, or take it out of this row.",
            )
        claim = seen.claimed.get(alias)
        if claim is not None and not (claim.has_domain and _may_share(alias, row)):
            reason = f"The company in line {claim.line} gets the {alias[0]} {alias[1]}."
            return Problem("duplicate_company", reason, suggestion="Remove it from this row.")
    return None


def _is(holder: KnownCompany, known: KnownCompany | None) -> bool:
    return known is not None and holder.row.id == known.row.id


def _may_share(alias: Alias, row: Row) -> bool:
    """Two companies may have one name when each has a domain of its own, as in Crisp (SPEC D6)."""
    company = row.company
    if company is None or company.domain is None:
        return False
    return alias == ("name", normal_company_name(company.name or ""))


def _main_fields(row: Row, known: KnownCompany | None) -> dict[str, str]:
    """What the row tells of `name` and `domain`: a name by which the company is found renames nothing."""
    company = row.company
    if company is None:
        return {}
    if known is None:
        told = {"name": company.name or company.domain, "domain": company.domain}
        return {target: value for target, value in told.items() if value is not None}
    fields: dict[str, str] = {}
    normal = normal_company_name(company.name or "")
    if company.name and (company.domain or normal == normal_company_name(known.row.name)):
        fields["name"] = company.name
    if company.domain and known.row.domain is None:
        fields["domain"] = company.domain
    return fields


def _changes(row: Row, known: KnownCompany | None, rules: Rules, seen: CompaniesSeen) -> Changes:
    changes: Changes = {}
    fields = new_fields(row.told) if known is None else changed_fields(row, known, rules)
    if fields:
        changes["fields"] = fields
    if known is not None and fields:
        changes["sources"] = sources_before(changes, known)
    taken = seen.holders.keys() | seen.claimed.keys()
    if added := [list(alias) for alias in _aliases(row) if alias not in taken]:
        changes["aliases"] = added
    return changes


_SKIPPED = skipped(
    {
        "create-only": ("exists", "This company exists already."),
        "update-only": ("unknown_company", "No company has this name or domain."),
    }
)
