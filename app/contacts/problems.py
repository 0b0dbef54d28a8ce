"""What is wrong with a row, in words for whoever repairs the file (SPEC I8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` is for programs; `column` the name in the file, or None when the whole row is meant."""

    code: str
    reason: str
    column: str | None = None
    value: str = ""
    suggestion: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "column": self.column,
            "value": self.value[:_SHOWN],
            "reason": self.reason,
            "suggestion": self.suggestion,
        }


class Wrong(Exception):
    """A cell that is no value of its field; the row stays out of the import."""

    def __init__(self, code: str, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.suggestion = suggestion

    def in_cell(self, column: str, cell: str) -> Problem:
        return Problem(self.code, self.reason, column, cell, self.suggestion)
