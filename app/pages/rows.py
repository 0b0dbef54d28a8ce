"""Rows and selects of any columns, as the queries of pages name them."""

from __future__ import annotations

from typing import TypeAlias

from app.db.base import AnySelect, StoredRow

__all__ = ["AnyRow", "AnySelect"]

AnyRow: TypeAlias = StoredRow
