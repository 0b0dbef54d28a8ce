"""What a migration may not do while the release before it still runs (FAILURES case 88).

problems = breaks_before(shape_of(connection), shape_of(migrated))
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

from sqlalchemy import Inspector, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SAWarning

from app.db.words import is_kept_by_database

Columns = frozenset[str]


@dataclass(frozen=True)
class Shape:
    """One table: name of a column to (type, may be left out)."""

    columns: dict[str, tuple[str, bool]]
    checks: dict[str, str] = field(default_factory=dict)
    uniques: frozenset[Columns] = frozenset()
    references: frozenset[Columns] = frozenset()


def shape_of(connection: Connection) -> dict[str, Shape]:
    found = inspect(connection)
    names = [name for name in found.get_table_names() if not is_kept_by_database(name)]
    with warnings.catch_warnings():
        # Indexes over an expression: none of them is unique.
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", SAWarning)
        return {name: _shape(found, name) for name in names}


def _shape(found: Inspector, name: str) -> Shape:
    columns = {
        column["name"]: (str(column["type"]), column["nullable"] or column["default"] is not None)
        for column in found.get_columns(name)
    }
    uniques = [frozenset(one["column_names"]) for one in found.get_unique_constraints(name)]
    uniques += [
        frozenset(filter(None, one["column_names"]))
        for one in found.get_indexes(name)
        if one["unique"]
    ]
    references = [frozenset(one["constrained_columns"]) for one in found.get_foreign_keys(name)]
    checks = {str(one["name"]): one["sqltext"] for one in found.get_check_constraints(name)}
    return Shape(columns, checks, frozenset(uniques), frozenset(references))


def breaks_before(before: dict[str, Shape], after: dict[str, Shape]) -> list[str]:
    """Each way in which statements of the release before would fail, as a sentence; good is none."""
    problems = [f"{name} was dropped" for name in before if name not in after]
    for name, old in before.items():
        if name in after:
            problems += [f"{name}: {one}" for one in _breaks(old, after[name])]
    return problems


def _breaks(old: Shape, new: Shape) -> list[str]:
    problems = [f"{one} was dropped" for one in old.columns if one not in new.columns]
    for name, (kind, may_lack) in new.columns.items():
        if name not in old.columns:
            if not may_lack:
                problems.append(f"{name} is new and has neither null nor a default of the server")
            continue
        if kind != old.columns[name][0]:
            problems.append(f"{name} changed from {old.columns[name][0]} to {kind}")
        if old.columns[name][1] and not may_lack:
            problems.append(f"{name} may not be left out any more")
    known = frozenset(old.columns)
    problems += [
        f"{sorted(one)} became unique" for one in new.uniques - old.uniques if one <= known
    ]
    problems += [
        f"{sorted(one)} became a reference"
        for one in new.references - old.references
        if one <= known
    ]
    for name, told in new.checks.items():
        if _is_stricter(old.checks.get(name), told, known):
            problems.append(f"the check {name} is stricter")
    return problems


def _is_stricter(old: str | None, new: str, known: Columns) -> bool:
    """A list of words may grow; any other change of what old columns may hold counts as stricter."""
    if old == new:
        return False
    if old is None:
        return not known.isdisjoint(re.findall(r"\w+", re.sub(r"'[^']*'", "", new)))
    words = re.compile(r"'[^']*'(?:, )?")
    same_frame = words.sub("", old) == words.sub("", new)
    return not (same_frame and set(re.findall(r"'[^']*'", old)) <= set(re.findall(r"'[^']*'", new)))
