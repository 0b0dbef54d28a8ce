"""Words in the folded text that each noun keeps for searching."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from app.db.base import AnySelect
from app.records import fold_for_search

_MOST_WORDS = 8


def has_words(query: AnySelect, column: ColumnElement[Any], q: str | None) -> AnySelect:
    """Every word of `q` somewhere in the text; `%` and `_` are letters like others."""
    for word in fold_for_search(q or "").split()[:_MOST_WORDS]:
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        query = query.where(column.like(f"%{escaped}%", escape="\\"))
    return query
