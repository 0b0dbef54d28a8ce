"""An import, its columns and its rows in words for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.contacts.custom_keys import suggested_key
from app.imports.columns import CUSTOM, FIELDS, ColumnMap
from app.imports.diff import MODES
from app.imports.tables import made_company, made_contact
from app.imports.work import STAGES
from app.pages.text import number, one_line, plural

STATES = {
    "uploaded": ("waiting", "to be mapped"),
    "planning": ("busy", "planning"),
    "planned": ("waiting", "planned"),
    "committing": ("busy", "importing"),
    "done": ("good", "done"),
    "undoing": ("busy", "undoing"),
    "undone": ("idle", "undone"),
    "failed": ("bad", "failed"),
    "cancelled": ("idle", "cancelled"),
}
TABS = (
    ("problems", "Problems"),
    ("create", "New"),
    ("update", "Changed"),
    ("unchanged", "Unchanged"),
    ("skip", "Skipped"),
)
LABELS = {
    "name": "Name",
    "domain": "Domain",
    "phone": "Phone",
    "avatar": "Avatar",
    "signed_up_at": "Created",
    "last_active_at": "Last active",
}


@dataclass(frozen=True, slots=True)
class ImportView:
    id: str
    kind: str
    file_name: str
    size: str
    state: str
    tone: str
    word: str
    mode: str
    counts: dict[str, int]
    result: str
    error: str
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    plan_hash: str
    repairs: str
    share: int | None
    done: int
    total: int

    @property
    def noun(self) -> str:
        return "company" if self.kind == "companies" else "contact"

    @property
    def live(self) -> bool:
        return self.state in STAGES

    @property
    def to_write(self) -> int:
        return self.total - self.counts.get("applied", 0)

    @property
    def problems(self) -> int:
        counts = self.counts
        bad = counts.get("error", 0) + counts.get("refused", 0) + counts.get("kept", 0)
        return max(0, bad - counts.get("repaired", 0))

    def count_of(self, show: str) -> int:
        return self.problems if show == "problems" else self.counts.get(show, 0)

    @property
    def can_undo(self) -> bool:
        written = self.counts.get("applied", 0) > 0
        return written and self.state in {"done", "failed", "planned", "cancelled"}


def view_import(row: Any) -> ImportView:
    counts: dict[str, int] = row.counts
    tone, word = STATES[row.state]
    if row.state == "done" and (counts.get("error") or counts.get("refused")):
        tone, word = "warn", "done, some rows stayed out"
    total = counts.get("create", 0) + counts.get("update", 0)
    done = counts.get("applied", 0) + counts.get("refused", 0)
    if row.state == "undoing":
        total, done = counts.get("applied", 0), counts.get("undone", 0) + counts.get("kept", 0)
    return ImportView(
        id=row.id,
        kind=row.kind,
        file_name=row.file_name,
        size=size_words(row.file_size),
        state=row.state,
        tone=tone,
        word=word,
        mode=row.mode,
        counts=counts,
        result=result_words(row.state, counts),
        error=row.error or "",
        created_by=row.created_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
        expires_at=row.expires_at,
        plan_hash=row.plan_hash or "",
        repairs=row.repairs or "",
        share=_share(row, done, total),
        done=done,
        total=total,
    )


def _share(row: Any, done: int, total: int) -> int | None:
    if row.state == "planning":
        size = row.checkpoint.get("size")
        return min(100, 100 * row.checkpoint.get("read", 0) // size) if size else None
    return min(100, 100 * done // total) if total else None


def size_words(size: int) -> str:
    if size < 1024:
        return f"{size} bytes"
    return f"{size / 1024:,.0f} kB" if size < 1024 * 1024 else f"{size / 1024 / 1024:,.1f} MB"


def result_words(state: str, counts: dict[str, int]) -> str:
    if state == "undone":
        kept = counts.get("kept", 0)
        told = f"{plural(counts.get('undone', 0), 'row')} taken back"
        return f"{told}, {number(kept)} kept" if kept else told
    written = (
        (("create", "new"), ("update", "to change"))
        if state in {"planning", "planned"}
        else (("created", "created"), ("updated", "changed"))
    )
    more = (
        ("unchanged", "unchanged"), ("skip", "skipped"), ("error", "bad"), ("refused", "refused"),
        ("repaired", "repaired since"), ("undone", "taken back"),
    )  # fmt: skip
    parts = [f"{number(counts[key])} {word}" for key, word in (*written, *more) if counts.get(key)]
    return ", ".join(parts) or ("nothing in it" if "rows" in counts else "")


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column of the mapping form: what it is mapped to now, its first values."""

    number: int
    name: str
    to: str
    key: str
    type: str
    choices: str
    samples: list[str]


def view_columns(columns: Sequence[ColumnMap], rows: Sequence[Sequence[str]]) -> list[ColumnView]:
    return [
        ColumnView(
            number=n,
            name=column.column,
            to="custom" if column.is_custom else column.to or "",
            key=column.key if column.is_custom else suggested_key(column.column),
            type=column.type,
            choices="|".join(column.choices),
            samples=[one_line(row[n], 60) for row in rows if n < len(row) and row[n].strip()][:3],
        )
        for n, column in enumerate(columns)
    ]


@dataclass(frozen=True, slots=True)
class RowView:
    line: int
    outcome: str
    tone: str
    word: str
    href: str
    about: str
    changes: list[tuple[str, str, str]]
    problems: list[dict[str, str]]
    undoable: bool


_WORDS = {
    ("create", "applied"): ("good", "created"),
    ("update", "applied"): ("good", "changed"),
    ("create", "planned"): ("waiting", "new"),
    ("update", "planned"): ("waiting", "changes"),
    ("unchanged", "planned"): ("idle", "unchanged"),
    ("skip", "planned"): ("idle", "skipped"),
    ("error", "planned"): ("bad", "bad"),
    ("error", "repaired"): ("good", "repaired"),
}
_STATES = {
    "refused": ("warn", "refused"),
    "kept": ("warn", "kept"),
    "undone": ("idle", "taken back"),
    "repaired": ("good", "repaired"),
}


def view_row(row: Any, state: str, companies: Mapping[str, str]) -> RowView:
    """`companies`: what those are called that such rows are about, by id."""
    tone, word = _WORDS.get((row.outcome, row.state)) or _STATES[row.state]
    return RowView(
        line=row.line,
        outcome=row.outcome,
        tone=tone,
        word=word,
        href=_href(row),
        about=_about(row, companies),
        changes=changes_in_words(row.changes or {}),
        problems=row.problems or [],
        undoable=row.state == "applied" and state in {"done", "failed"},
    )


def _href(row: Any) -> str:
    if row.state == "undone":
        return ""
    if contact_id := made_contact(row):
        return f"/contacts/{contact_id}"
    company_id = made_company(row)
    return f"/companies/{company_id}" if company_id else ""


def _about(row: Any, companies: Mapping[str, str]) -> str:
    """The address, or the company: as it is called now, else as the file names it."""
    if row.email_norm or row.company_key is None:
        return row.email_norm or ""
    fields: dict[str, Any] = (row.changes or {}).get("fields", {})
    told = str(fields["name"][1]) if "name" in fields else row.company_key.partition(":")[2]
    return companies.get(row.company_id, told)


def changes_in_words(changes: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(field, before, after)"""
    fields = sorted(changes.get("fields", {}).items())
    told = [(label_of(target), _shown(old), _shown(new)) for target, (old, new) in fields]
    if "segments" in changes:
        before, after = changes["segments"]
        told.append(("Segments", _shown(sorted(before)), _shown(sorted(after))))
    if changes.get("aliases"):
        told.append(("Goes by", "none", _shown([value for _, value in changes["aliases"]])))
    company = changes.get("company") or {}
    if company.get("joins"):
        name = company["name"] or company["domain"]
        told.append(("Company", _shown(company["was"]), _shown(name)))
    elif company.get("closes"):
        told.append(("Company", _shown(company["was"]), "none"))
    if company.get("gets_domain"):
        told.append((FIELDS["company_url"], "none", _shown(company["domain"])))
    if company.get("described"):
        old, new = company["described"]
        told.append((FIELDS["company_description"], _shown(old), _shown(new)))
    return told


def label_of(target: str) -> str:
    key = target.removeprefix("attributes.")
    return LABELS.get(target) or FIELDS.get(key) or key


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return one_line(", ".join(map(str, value)), 120) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "") else one_line(value, 120)


def mode_label(mode: str) -> str:
    return MODES.get(mode, mode)


__all__ = ["CUSTOM", "MODES", "ImportView", "mode_label", "view_columns", "view_import", "view_row"]
