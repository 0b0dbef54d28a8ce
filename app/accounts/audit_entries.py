"""Reading the audit log: what the page, its file and the API list."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.accounts.tables import audit_log
from app.db.base import AnySelect
from app.db.keyset import Order

_a = audit_log.c
ORDER = Order(_a.at, _a.id, datetime, nullable=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; `since` is included, `until` is not. None: whatever it is."""

    who: str | None = None
    action: str | None = None
    website_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def entries_query(wanted: Wanted, seen: Collection[str] | None = None) -> AnySelect:
    """`seen`: only of these websites, and then nothing of what is of no website."""
    query = select(audit_log)
    equal = {
        _a.actor_id: wanted.who, _a.action: wanted.action, _a.website_id: wanted.website_id,
    }  # fmt: skip
    for column, value in equal.items():
        query = query.where(column == value) if value is not None else query
    if wanted.since is not None:
        query = query.where(_a.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_a.at < wanted.until)
    return query if seen is None else query.where(_a.website_id.in_(sorted(seen)))
