"""What the URL of a list asks for; whatever it does not understand becomes a sentence, never an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Text

from app.db.keyset import Cursor, Order, read_cursor
from app.pages.text import clean, one_line
from app.published.searching import escaped

SIZES = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class Sort:
    label: str
    order: Order


@dataclass(frozen=True, slots=True)
class Asked:
    """A list as its URL asked for it."""

    q: str
    sort: str
    order: Order
    size: int
    cursor: Cursor | None
    chosen: Mapping[str, str]
    notices: list[str] = field(default_factory=list)

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.chosen)

    def without(self, name: str) -> Asked:
        return replace(self, chosen={k: v for k, v in self.chosen.items() if k != name})

    def params(self, default_sort: str) -> dict[str, str]:
        """What makes this list, without the place in it; defaults are left out of the URL."""
        params = {"q": self.q, **self.chosen}
        params["sort"] = "" if self.sort == default_sort else self.sort
        params["size"] = "" if self.size == SIZES[0] else str(self.size)
        return params


def read_listing(
    params: Mapping[str, str],
    sorts: Mapping[str, Sort],
    default_sort: str,
    filters: Mapping[str, frozenset[str] | None],
) -> Asked:
    """`filters` names each filter and the values it knows; None takes any short text."""
    notices: list[str] = []
    sort = _known_sort(params.get("sort", ""), sorts, default_sort, notices)
    order = sorts[sort.lstrip("-")].order
    order = replace(order, descending=sort.startswith("-"))
    chosen = _chosen(params, filters, notices)
    return Asked(
        q=clean(params.get("q", ""))[:200].strip(),
        sort=sort,
        order=order,
        size=_size(params.get("size", ""), notices),
        cursor=_cursor(params.get("cursor", ""), order, notices),
        chosen=chosen,
        notices=notices,
    )


def _known_sort(text: str, sorts: Mapping[str, Sort], default: str, notices: list[str]) -> str:
    if not text:
        return default
    if text.removeprefix("-") in sorts:
        return text
    notices.append(f"This list cannot be sorted by “{one_line(text, 40)}”; it has its usual order.")
    return default


def _chosen(
    params: Mapping[str, str], filters: Mapping[str, frozenset[str] | None], notices: list[str]
) -> dict[str, str]:
    chosen = {}
    for name, known in filters.items():
        value = params.get(name, "")
        if not value:
            continue
        if (known is None and clean(value) == value and len(value) <= 300) or value in (
            known or ()
        ):
            chosen[name] = value
        else:
            notices.append(f"There is no {name} “{one_line(value, 40)}”; that filter is left out.")
    return chosen


def _size(text: str, notices: list[str]) -> int:
    if text in {str(size) for size in SIZES}:
        return int(text)
    if text:
        choices = ", ".join(str(size) for size in SIZES)
        notices.append(f"A page has {choices} rows; this one has {SIZES[0]}.")
    return SIZES[0]


def _cursor(text: str, order: Order, notices: list[str]) -> Cursor | None:
    cursor = read_cursor(text, order)
    if text and cursor is None:
        notices.append("That place in the list is not known; this is its first page.")
    return cursor


def read_day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if 2000 <= day.year < 2100 else None


def ends_with(column: ColumnElement[Any], ending: str) -> ColumnElement[bool]:
    return column.cast(Text).like(f"%{escaped(ending)}", escape="\\")
