"""What became of planned rows, for every kind of file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.contacts.problems import Problem
from app.db.base import StoredRow
from app.db.upsert import Row


@dataclass(frozen=True, slots=True)
class SortedOut:
    """Of the planned rows of a chunk the steps that can be done, each with its `row`; why the others not."""

    steps: Sequence[Any]
    refused: Sequence[tuple[StoredRow, Problem]]


def changed_meanwhile(noun: str) -> Problem:
    return Problem(
        "changed_meanwhile",
        f"The {noun} was changed after the plan was made; nothing of this row was written.",
        suggestion="Plan this import again.",
    )


def result(row: StoredRow, state: str, **values: Any) -> Row:
    kept = {"contact_id": row.contact_id, "changes": row.changes, "problems": row.problems}
    key = {"website_id": row.website_id, "import_id": row.import_id, "line": row.line}
    return {**key, "state": state, **kept, **values}
