"""Cells that say something of a company (SPEC I2, D6). Each reader takes one that is not empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from app.contacts import lists, readers, values
from app.contacts.problems import Wrong
from app.contacts.values import Read
from app.normal import normal_company_name

MOST_ALIASES, LONGEST_ALIAS = 200, 300
OTHERS: Mapping[str, str] = {"other_names": "name", "other_domains": "domain"}
"""Fields of several aliases, and the kind of those."""


def other_names(cell: str) -> Read:
    """Normal names, separated by `|`."""
    names = _checked(lists.split(cell, "|"))
    return Read([normal for name in names if (normal := normal_company_name(name))])


def other_domains(cell: str) -> Read:
    """Separated by `|`, comma or space."""
    return Read([values.domain(one).value for one in _checked(lists.split(cell, "|, "))])


def _checked(found: Sequence[str]) -> Sequence[str]:
    if len(found) > MOST_ALIASES or any(len(one) > LONGEST_ALIAS for one in found):
        raise Wrong(
            "too_long", f"At most {MOST_ALIASES} of them, each of {LONGEST_ALIAS} characters."
        )
    return found


COMPANY_READERS: Mapping[str, Callable[[str], Read]] = {
    "company_name": readers.LINE,
    "company_url": lru_cache(maxsize=1024)(values.domain),
    "company_description": readers.TEXT,
}
OTHER_READERS: Mapping[str, Callable[[str], Read]] = {
    "other_names": other_names,
    "other_domains": other_domains,
}
