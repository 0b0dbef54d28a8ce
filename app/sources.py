"""Who wrote each field of a contact, where that was not Crisp (SPEC D7, V1).

`field_sources` of a contact: {"phone": {"source": "csv", "at": "2026-…Z", "by": "<import id>"}}. Keys are
columns or `attributes.<key>`, `owner`, and WITHOUT_CRISPS_ADDRESS. A field that is not there came from
Crisp, or nobody ever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

FieldSources = dict[str, dict[str, Any]]
INFERRED = "inferred"
"""A name made from the address or a conversation: it gives way to every other name (SPEC I4)."""
BY_HAND = "manual"
WITHOUT_CRISPS_ADDRESS = "crisp_address"
"""Who said that the address in Crisp's profile is none of this contact's; until Crisp names another one."""


def source(name: str, at: datetime, by: str) -> dict[str, Any]:
    """`name`: csv, manual, api or inferred; `by`: the import's id, or who did it."""
    return {"source": name, "at": at.isoformat(timespec="milliseconds"), "by": by}


def without(sources: Mapping[str, dict[str, Any]], written: Iterable[str]) -> FieldSources:
    """The sources after Crisp wrote these fields."""
    taken = set(written)
    return {target: told for target, told in sources.items() if target not in taken}


def is_by_hand(sources: Mapping[str, Any], target: str) -> bool:
    told = sources.get(target)
    return isinstance(told, Mapping) and told.get("source") == BY_HAND


def is_inferred(sources: Mapping[str, Any], target: str) -> bool:
    told = sources.get(target)
    return isinstance(told, Mapping) and told.get("source") == INFERRED
