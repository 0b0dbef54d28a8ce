"""What taking back one row means for its contact as it is now (SPEC I10). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.contacts.mapping import COLUMNS
from app.contacts.problems import Problem
from app.db.base import StoredRow
from app.db.upsert import Row
from app.imports.diff import SOURCE, same, value_of
from app.imports.known import Known
from app.records import ContactEdit, Fields


@dataclass(slots=True)
class Undoing:
    """What becomes of one row: the contact goes, or gets this edit; `kept` tells what stays and why."""

    row: StoredRow
    edit: ContactEdit | None = None
    deletes: bool = False
    kept: list[Problem] = field(default_factory=list)


def undoing_of(row: StoredRow, known: Known | None, crisp: Fields) -> Undoing:
    if known is None:
        return Undoing(row, kept=[stays("contact_gone", "The contact does not exist any more.")])
    undoing = Undoing(row)
    if known.row.deleted_at is not None and row.outcome == "create":
        undoing.kept.append(stays("contact_removed", "The contact was removed since."))
    undoing.edit = _edit_back(undoing, row.changes, known, crisp)
    if row.outcome != "create":
        return undoing
    reason = _why_itstays(row, known, undoing.edit)
    if reason is None and not undoing.kept:
        undoing.deletes = True
    elif reason is not None:
        undoing.kept.append(stays("contact_changed", reason))
    return undoing


def _why_itstays(row: StoredRow, known: Known, edit: ContactEdit) -> str | None:
    """None when nothing is left of a contact that the import made, once the import's own is taken away."""
    if known.row.crisp_people_id is not None:
        return "Crisp knows this contact since."
    if known.row.email != row.changes.get("email"):
        return "Its address was changed since."
    left = {t for t in _filled(known) if t not in edit.fields}
    if left or (edit.segment_sources or {}):
        return f"It has other values since: {', '.join(sorted(left)) or 'segments'}."
    if any(link.id not in edit.dropped for link in known.memberships):
        return "It belongs to other companies since."
    return None


def _filled(known: Known) -> set[str]:
    columns = {name for name in COLUMNS if name != "email" and known.at(name) is not None}
    return columns | {f"attributes.{key}" for key in known.row.attributes}


def _edit_back(
    undoing: Undoing, changes: dict[str, Any], known: Known, crisp: Fields
) -> ContactEdit:
    """Each field that still has the value of the file gets back what it had before."""
    fields: Fields = {}
    sources: Fields = {}
    before = changes.get("sources", {})
    for target, (old, new) in changes.get("fields", {}).items():
        if not same(known.at(target), value_of(target, new)):
            undoing.kept.append(changed_since(target, known.at(target)))
            continue
        fields[target] = value_of(target, old) if old is not None else crisp.get(target)
        sources[target] = before.get(target)
    company = changes.get("company") or {}
    open_now = {link.id for link in known.memberships}
    opened = company.get("opened")
    if opened and opened not in open_now:
        undoing.kept.append(stays("company_changed", "Its company was changed since."))
        opened = None
    return ContactEdit(
        contact_id=known.row.id,
        fields=fields,
        sources=sources,
        segment_sources=_segments_back(changes.get("segments"), known),
        dropped=(opened,) if opened else (),
        reopened=tuple(company.get("closes", ())) if opened or not company.get("joins") else (),
    )


def _segments_back(
    segments: list[dict[str, list[str]]] | None, known: Known
) -> dict[str, list[str]] | None:
    """Without what the file added, with what it took away; what others did meanwhile stays."""
    if segments is None:
        return None
    before, after = segments
    now = {segment: list(owners) for segment, owners in known.row.segment_sources.items()}
    for segment in {*before, *after}:
        had, got = SOURCE in before.get(segment, ()), SOURCE in after.get(segment, ())
        owners = set(now.get(segment, ()))
        if got and not had:
            owners.discard(SOURCE)
        owners |= {o for o in before.get(segment, ()) if o not in after.get(segment, ())}
        if owners:
            now[segment] = sorted(owners)
        else:
            now.pop(segment, None)
    return now


def stays(code: str, reason: str) -> Problem:
    return Problem(code, reason)


def changed_since(target: str, now: Any) -> Problem:
    value = now.isoformat() if isinstance(now, datetime) else "" if now is None else str(now)
    return Problem("changed_since", "It was changed since and stays as it is.", target, value)


def result_of(row: StoredRow, kept: Sequence[Problem]) -> Row:
    problems = [*(row.problems or []), *(problem.as_json() for problem in kept)]
    return {
        "website_id": row.website_id,
        "import_id": row.import_id,
        "line": row.line,
        "state": "kept" if kept else "undone",
        "problems": problems or None,
    }
