"""A row of a file as what it says about one contact, or as what is wrong with it (SPEC I2 to I5).

Pure: nothing here knows the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import lru_cache
from typing import Any

from app.contacts import phones, readers, values
from app.contacts.attributes import Attribute
from app.contacts.problems import Problem, Wrong
from app.contacts.values import Read
from app.imports.columns import TARGETS, ColumnMap
from app.imports.company_cells import COMPANY_READERS, OTHER_READERS, OTHERS
from app.imports.reader import RawRow
from app.normal import normal_address, normal_company_name
from app.records import CompanyRef
from app.spreadsheet import MARK, undefused

_COMPANY = frozenset({"company_name", "company_url", "company_description"})
_NAMES = frozenset({"first_name", "last_name", "name"})
_READ_BESIDE = _COMPANY | _NAMES | OTHERS.keys() | {"email", "segments"}


@dataclass(frozen=True, slots=True)
class Options:
    """How cells are read: `region` is the country of numbers without prefix, as `ES`."""

    zone: tzinfo
    region: str | None = None
    split_on_space: bool = False


@dataclass(slots=True)
class Row:
    """What a row says. In `told`, None is an empty cell; a target that is missing was not told.

    Targets are columns of a contact or `attributes.<key>`; `custom` are those of custom attributes.
    `company` None and `company_told` is an emptied company. Where each row is a company, targets are
    its `attributes.<key>`, and `aliases` what else it goes by: ("name" | "domain", normal value).
    """

    line: int
    email: str = ""
    email_norm: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    custom: frozenset[str] = frozenset()
    segments: list[str] | None = None
    company: CompanyRef | None = None
    company_told: bool = False
    description: str | None = None
    aliases: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    origin: int | None = None

    @property
    def inferred_name(self) -> str:
        return name_of_address(self.email) if self.email else ""


@dataclass(slots=True)
class Interpreter:
    """Made once for a file, called for each of its rows."""

    columns: Sequence[ColumnMap]
    options: Options
    origin_column: int | None = None
    kind: str = "contacts"
    _used: list[tuple[int, ColumnMap]] = field(default_factory=list)
    _custom: frozenset[str] = frozenset()
    _readers: dict[str, tuple[str, Callable[[str], Read]]] = field(default_factory=dict)
    _read_segments: Callable[[str], Read] = readers.segments

    def __post_init__(self) -> None:
        self._used = [(n, c) for n, c in enumerate(self.columns) if c.to is not None]
        for _, column in self._used:
            if column.to is not None and column.to not in _READ_BESIDE:
                target, read = self._read_as(column)
                self._readers[column.to] = (target, _remembering(read))
        self._read_segments = _remembering(self._segments)
        self._custom = frozenset(f"attributes.{c.key}" for c in self.columns if c.is_custom)

    def __call__(self, raw: RawRow) -> Row:
        row = Row(raw.line, custom=self._custom, cells=raw.cells)
        row.origin = self._origin(raw.cells)
        if raw.problem is not None or self._is_too_wide(raw.cells):
            row.problems.append(_WHOLE[raw.problem or "too_many_cells"])
            return row
        cells = self._cells(raw.cells)
        if self.kind == "contacts":
            self._read_address(row, cells)
        for column, cell in cells.values():
            self._read(row, column, cell)
        self._join_name(row, cells)
        self._read_company(row, cells)
        if self.kind == "companies":
            self._read_as_company(row, cells)
        return row

    def _is_too_wide(self, cells: Sequence[str]) -> bool:
        width = len(self.columns)
        return len(cells) > width and any(cell.strip() for cell in cells[width:])

    def _origin(self, cells: Sequence[str]) -> int | None:
        """The line of the first file, where this one holds its bad rows (app/imports/bad_rows.py)."""
        if self.origin_column is None or self.origin_column >= len(cells):
            return None
        cell = cells[self.origin_column].strip()
        return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 16 else None

    def _cells(self, cells: Sequence[str]) -> dict[str, tuple[ColumnMap, str]]:
        """By target; what a short row leaves out is not told, which is not the same as empty."""
        width = len(cells)
        return {
            column.to: (column, undefused(cell).strip() if cell[:1] == MARK else cell.strip())
            for number, column in self._used
            if number < width and column.to is not None
            for cell in (cells[number],)
        }

    def _read_address(self, row: Row, cells: dict[str, tuple[ColumnMap, str]]) -> None:
        column, cell = cells.pop("email", (None, ""))
        if column is None or not cell:
            row.problems.append(
                Problem(
                    "email_missing",
                    "Every row needs an e-mail address.",
                    column.column if column is not None else None,
                )
            )
            return
        try:
            row.email = values.address(cell)
        except Wrong as wrong:
            row.problems.append(wrong.in_cell(column.column, cell))
            return
        row.email_norm = normal_address(row.email) or ""

    def _read(self, row: Row, column: ColumnMap, cell: str) -> None:
        if column.to == "segments":
            row.segments = self._checked(row, column, cell, self._read_segments) or []
            return
        if column.to not in self._readers:
            return
        target, read = self._readers[column.to]
        if not cell:
            row.told[target] = None
            return
        value = self._checked(row, column, cell, read)
        if value is not None:
            row.told[target] = value

    def _checked(self, row: Row, column: ColumnMap, cell: str, read: Callable[[str], Read]) -> Any:
        try:
            value, note = read(cell)
        except Wrong as wrong:
            row.problems.append(wrong.in_cell(column.column, cell))
            return None
        if note is not None:
            row.notes.append(Problem(note[0], note[1], column.column, cell))
        return value

    def _read_as(self, column: ColumnMap) -> tuple[str, Callable[[str], Read]]:
        """Where its values go, and what reads one."""
        if column.is_custom:
            return f"attributes.{column.key}", self._custom_reader(column)
        to = column.to or ""
        return TARGETS[to], self._reader(to)

    def _reader(self, to: str) -> Callable[[str], Read]:
        if to in {"created", "last_active"}:
            return lambda cell: values.moment(cell, self.options.zone)
        if to == "phone":
            return lambda cell: phones.phone(cell, self.options.region)
        return readers.PROFILE[TARGETS[to]]

    def _custom_reader(self, column: ColumnMap) -> Callable[[str], Read]:
        told = Attribute(column.key, column.type, column.choices)
        return readers.custom_reader(told, self.options.zone)

    def _segments(self, cell: str) -> Read:
        return readers.segments(cell, "|, " if self.options.split_on_space else "|,")

    def _join_name(self, row: Row, cells: Mapping[str, tuple[ColumnMap, str]]) -> None:
        if _NAMES.isdisjoint(cells):
            return
        parts = {name: " ".join(cells[name][1].split()) for name in _NAMES if name in cells}
        whole = parts.get("name") or " ".join(
            part for key in ("first_name", "last_name") if (part := parts.get(key))
        )
        column = next(cells[key][0] for key in ("name", "first_name", "last_name") if key in cells)
        row.told["name"] = self._checked(row, column, whole, readers.NAME) if whole else None

    def _read_company(self, row: Row, cells: Mapping[str, tuple[ColumnMap, str]]) -> None:
        told = {to: cells[to] for to in _COMPANY if to in cells}
        if not told:
            return
        read = {
            to: self._checked(row, column, cell, COMPANY_READERS[to])
            for to, (column, cell) in told.items()
            if cell
        }
        name, domain = read.get("company_name"), read.get("company_url")
        row.description = read.get("company_description")
        if (name and normal_company_name(name)) or domain:
            row.company = CompanyRef(name, domain)
        row.company_told = "company_name" in told or "company_url" in told

    def _read_as_company(self, row: Row, cells: Mapping[str, tuple[ColumnMap, str]]) -> None:
        if row.company is None and not row.problems:
            reason = "Every row needs the name of a company, or its address on the web."
            row.problems.append(Problem("company_missing", reason))
        if "company_description" in cells:
            row.told["attributes.description"] = row.description
        for to, kind in OTHERS.items():
            if to in cells:
                column, cell = cells[to]
                found = self._checked(row, column, cell, OTHER_READERS[to]) if cell else None
                row.aliases += [(kind, value) for value in found or ()]


def _remembering(read: Callable[[str], Read]) -> Callable[[str], Read]:
    """Most columns say few things again and again. A value is then the same object in many rows."""
    return lru_cache(maxsize=1024)(read)


def name_of_address(email: str) -> str:
    """`ada.lovelace+news@acme.example` to `Ada Lovelace`."""
    local = email.rpartition("@")[0].split("+")[0]
    words = [word for word in re.split(r"[._\-\d]+", local) if word]
    return " ".join(word[:1].upper() + word[1:] for word in words)[:500] or local[:500]


_WHOLE = {
    "too_long": Problem(
        "too_long",
        "A cell or line of this row is too long, or a quote was not closed.",
        suggestion="Shorten it, or close the quote.",
    ),
    "unreadable": Problem(
        "unreadable",
        "This row holds bytes that are no text in the chosen encoding.",
        suggestion="Choose another encoding for the file.",
    ),
    "too_many_cells": Problem(
        "too_many_cells",
        "This row has more cells than the file has columns.",
        suggestion="Put values that hold the separator in quotes.",
    ),
}
