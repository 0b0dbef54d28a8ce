"""What a row would change on its contact, in each mode (SPEC I6). Pure.

Changes of a row, as JSON: `fields` {target: [old, new]}, `segments` [owners before, owners after],
`company` {name, domain, joins, closes: [memberships], open: [memberships], was: [names], described,
gets_domain, opened: the membership}, `sources` {target: who wrote it before}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.contacts.problems import Problem
from app.contacts.readers import shown
from app.contacts.segments import REMOVED
from app.imports.known import WITH_ACTIVITY, WITHOUT_ACTIVITY, Known, Stored
from app.imports.rows import Row
from app.sources import is_by_hand, is_inferred

Mode = Literal["merge", "overwrite", "fill-empty", "create-only", "update-only"]
MODES: Mapping[str, str] = {
    "merge": "Update contacts and create new ones; empty cells change only custom attributes",
    "overwrite": "Update contacts and create new ones; empty cells clear every mapped field",
    "fill-empty": "Only fill fields that are empty, and create new contacts",
    "create-only": "Only create new contacts",
    "update-only": "Only update contacts that exist",
}
SOURCE = "csv"
_TIMES = frozenset({"last_active_at", "signed_up_at"})
Changes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NamedCompany:
    """The company that a row names, as it is stored, and whether this row decides what describes it."""

    id: str | None
    description: str | None
    first_to_name: bool
    described_by_hand: bool = False
    wants_domain: bool = False
    """It has none, and this row is the first to tell one."""


@dataclass(frozen=True, slots=True)
class Rules:
    mode: Mode
    segment: str | None = None


def outcome_of(rules: Rules, known: Stored | None, changes: Changes) -> str:
    if known is None:
        return "skip" if rules.mode == "update-only" else "create"
    if rules.mode == "create-only":
        return "skip"
    return "update" if changes else "unchanged"


def changes_of(
    row: Row, known: Known | None, rules: Rules, company: NamedCompany | None
) -> Changes:
    """Empty when nothing of the contact would change."""
    joined = _company(row, known, rules, company)
    fields = _fields(row, known, rules)
    main = "attributes.company_name"
    if joined is None or _stays(main, known, rules):
        pass
    elif joined["joins"] and joined["name"]:
        _set(fields, known, main, joined["name"])
    elif joined["closes"] and not joined["joins"]:
        _set(fields, known, main, None)
    segments = _segments(row, known, rules)
    changes: Changes = {}
    if fields:
        changes["fields"] = fields
    if segments is not None:
        changes["segments"] = segments
    if joined is not None:
        changes["company"] = joined
    if known is None:
        changes["email"] = row.email
        if not row.told.get("name"):
            changes["inferred"] = True
    return changes


def sources_before(changes: Changes, known: Stored) -> dict[str, Any]:
    """Who had written each field that changes: an undo gives it back to them."""
    return {target: known.row.field_sources.get(target) for target in changes["fields"]}


def basis_kind(row: Row) -> str:
    return WITH_ACTIVITY if "last_active_at" in row.told else WITHOUT_ACTIVITY


def _fields(row: Row, known: Known | None, rules: Rules) -> dict[str, list[Any]]:
    if known is None:
        told = row.told if row.told.get("name") else {**row.told, "name": row.inferred_name}
        return new_fields(told)
    fields = changed_fields(row, known, rules)
    if _needs_name(row, known, rules):
        _set(fields, known, "name", row.inferred_name)
    return fields


def new_fields(told: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {t: [None, _plain(value)] for t, value in told.items() if value is not None}


def changed_fields(row: Row, known: Stored, rules: Rules) -> dict[str, list[Any]]:
    """What the row tells otherwise than it is stored, and the mode lets it write: target to [old, new]."""
    fields: dict[str, list[Any]] = {}
    for target, value in row.told.items():
        if value is None and not _empties(target, row, known, rules):
            continue
        if _stays(target, known, rules):
            continue
        if rules.mode == "fill-empty" and not _is_empty(known, target):
            continue
        _set(fields, known, target, value)
    return fields


def kept_by_hand(row: Row, known: Stored | None, rules: Rules) -> list[Problem]:
    """What the row tells otherwise than a person wrote it, which stays (SPEC D7)."""
    if known is None:
        return []
    return [
        Problem(
            "kept_by_hand",
            f"A person wrote {target.removeprefix('attributes.')} by hand, and that stays.",
            suggestion="Change it on its page, or choose the mode overwrite.",
        )
        for target, value in row.told.items()
        if _stays(target, known, rules)
        and (value is not None or _empties(target, row, known, rules))
        and not same(known.at(target), value)
    ]


def _stays(target: str, known: Stored | None, rules: Rules) -> bool:
    """Whoever chooses `overwrite` says that the file knows better than what was written by hand."""
    if known is None or rules.mode == "overwrite":
        return False
    return is_by_hand(known.row.field_sources, target)


def _empties(target: str, row: Row, known: Stored, rules: Rules) -> bool:
    """An empty cell clears what was told once; a name made from the address never was."""
    if rules.mode == "fill-empty" or _has_inferred_name(target, known):
        return False
    return rules.mode == "overwrite" or target in row.custom


def _has_inferred_name(target: str, known: Stored) -> bool:
    return target == "name" and is_inferred(known.row.field_sources, "name")


def _is_empty(known: Stored, target: str) -> bool:
    """A name that was made from the address is as good as none (SPEC I4)."""
    return _has_inferred_name(target, known) or known.at(target) in (None, "", [])


def _needs_name(row: Row, known: Known, rules: Rules) -> bool:
    if row.told.get("name") is not None or _stays("name", known, rules):
        return False
    return known.at("name") in (None, "") and not (rules.mode == "overwrite" and "name" in row.told)


def _set(fields: dict[str, list[Any]], known: Stored | None, target: str, value: Any) -> None:
    old = known.at(target) if known is not None else None
    if target == "phone" and old and value and _digits(old) == _digits(value):
        return
    if not same(old, value):
        fields[target] = [_plain(old), _plain(value)]


def _digits(phone: str) -> str:
    """The same number is written in many ways."""
    return "".join(c for c in phone if c in "+0123456789")


def same(old: Any, new: Any) -> bool:
    """Whether a cell says what is stored. A number that is stored is the text that shows it."""
    if isinstance(old, datetime) and isinstance(new, datetime):
        return bool(_plain(old) == _plain(new))
    if isinstance(old, bool) or isinstance(new, bool):
        if isinstance(old, bool) and isinstance(new, str):
            return bool(shown(old) == new)
        return old is new
    if isinstance(new, str) and not isinstance(old, list | dict | None):
        return bool(shown(old).strip() == new)
    return bool(old == new or (old in (None, "") and new is None))


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value


def value_of(target: str, plain: Any) -> Any:
    """A value of `fields` as its column wants it."""
    return datetime.fromisoformat(plain) if target in _TIMES and plain is not None else plain


def _segments(row: Row, known: Known | None, rules: Rules) -> list[dict[str, list[str]]] | None:
    """Owners of all segments before and after; None when nothing changes. Crisp's own stay (SPEC D7)."""
    before: dict[str, list[str]] = dict(known.row.segment_sources) if known is not None else {}
    told = row.segments or []
    if rules.mode == "fill-empty" and before:
        told = []
    after = dict(before)
    if rules.mode == "overwrite" and row.segments is not None:
        after = {
            segment: _without(owners, () if segment in told else (REMOVED, "crisp"))
            for segment, owners in before.items()
            if segment in told or "crisp" in owners
        }
    for segment in [*told, *([rules.segment] if rules.segment else [])]:
        if REMOVED in after.get(segment, ()):
            continue  # a person took it away
        after[segment] = sorted({*after.get(segment, ()), SOURCE})
    return [before, after] if after != before else None


def _without(owners: list[str], only: tuple[str, ...]) -> list[str]:
    """`only`: the owners that stay; without any, all but the mark of who took the segment away."""
    return [o for o in owners if (o in only if only else o != REMOVED)]


def _company(
    row: Row, known: Known | None, rules: Rules, company: NamedCompany | None
) -> dict[str, Any] | None:
    open_now = known.memberships if known is not None else []
    own = [link.id for link in open_now if link.source == SOURCE]
    changed: dict[str, Any] = {
        "name": row.company.name if row.company else None,
        "domain": row.company.domain if row.company else None,
        "joins": False,
        "closes": [],
        "open": [link.id for link in open_now],
        "was": [link.name for link in open_now],
        "described": None,
    }
    if row.company is None or company is None:
        if row.company_told and rules.mode == "overwrite" and own:
            return changed | {"closes": own}
        return None
    described = _described(row, rules, company)
    belongs = company.id is not None and any(link.company_id == company.id for link in open_now)
    if belongs and company.wants_domain:
        return changed | {"described": described, "gets_domain": True}
    if belongs or (rules.mode == "fill-empty" and open_now):
        return changed | {"described": described} if described else None
    return changed | {"joins": True, "closes": own, "described": described}


def _described(row: Row, rules: Rules, company: NamedCompany) -> list[str | None] | None:
    """The first row of a file that names a company decides how it is described."""
    if not row.description or not company.first_to_name or row.description == company.description:
        return None
    if rules.mode == "fill-empty" and company.description:
        return None
    if company.described_by_hand and rules.mode != "overwrite":
        return None
    return [company.description, row.description]
