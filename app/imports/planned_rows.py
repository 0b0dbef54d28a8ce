"""What a plan says of one row of a file, as a row of `import_rows`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.contacts.problems import Problem
from app.db.upsert import Row as TableRow
from app.imports.rows import Row
from app.imports.work import Work


def planned_row(work: Work, row: Row, outcome: str, problems: Sequence[Problem]) -> TableRow:
    return {
        "website_id": work.website_id,
        "import_id": work.row_id,
        "line": row.line,
        "outcome": outcome,
        "state": "planned",
        "email_norm": row.email_norm or None,
        "contact_id": None,
        "company_id": None,
        "company_key": None,
        "changes": None,
        "problems": [problem.as_json() for problem in problems] or None,
        "cells": None,
        "basis": None,
        "origin": row.origin,
    }


def error_row(work: Work, row: Row, problems: Sequence[Problem]) -> TableRow:
    """With its cells, so that it can be downloaded and repaired."""
    return planned_row(work, row, "error", problems) | {"cells": row.cells}


def erased_row(work: Work, row: Row) -> TableRow:
    """Without the address and the cells: what is not kept anywhere is not kept here either (SPEC P6)."""
    reason = "It holds the address of somebody who was erased, and who stays out."
    return error_row(work, row, [Problem("erased", reason)]) | {"email_norm": None, "cells": None}


def skipped(modes: Mapping[str, tuple[str, str]]) -> Mapping[str, list[Problem]]:
    """By mode, why a row of it is skipped: code and reason."""
    return {mode: [Problem(code, reason)] for mode, (code, reason) in modes.items()}
