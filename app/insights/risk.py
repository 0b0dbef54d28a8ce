"""Accounts at risk, each with its reasons: silent, waiting, badly rated (SPEC V8)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import CTE, and_, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.conversations.tables import conversation_companies, conversations
from app.db.base import AnySelect, StoredRow, UtcDateTime
from app.db.together import ask_together
from app.insights.moved import busiest_of, moved_lately, spoken_at
from app.insights.waiting import find_waiting, reason_columns

Reason = Literal["waiting", "badly_rated", "silent"]
REASONS: tuple[Reason, ...] = ("waiting", "badly_rated", "silent")

SILENT_DAYS = 30
WAITING_HOURS = 24
BAD_RATING = 2.0
RATED_WITHIN = timedelta(days=90)

_c, _link = conversations.c, conversation_companies.c
_OWNED = and_(_link.website_id == _c.website_id, _link.conversation_id == _c.id)


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a company is silent, and a customer waits for too long."""

    silent_days: int = SILENT_DAYS
    waiting_hours: int = WAITING_HOURS


USUAL_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class AccountAtRisk:
    """A company; of the three reasons those that hold are set."""

    company_id: str
    name: str
    silent_days: int | None
    waiting_since: datetime | None
    rating: float | None

    @property
    def reasons(self) -> list[Reason]:
        held: dict[Reason, Any] = {
            "waiting": self.waiting_since,
            "badly_rated": self.rating,
            "silent": self.silent_days,
        }
        return [name for name, value in held.items() if value is not None]


@dataclass(frozen=True, slots=True)
class AtRisk:
    """A part of the accounts, and how many there are in all, and for each reason."""

    accounts: list[AccountAtRisk]
    total: int
    by_reason: Mapping[Reason, int]


@dataclass(slots=True)
class _Found:
    company_id: str
    name: str
    reasons: set[str] = field(default_factory=set)
    waiting_since: datetime | None = None
    rating: float | None = None


async def accounts_at_risk(
    connection: AsyncConnection,
    website_id: str,
    now: datetime,
    changed: Collection[str] | None,
    *,
    limits: Limits = USUAL_LIMITS,
    reason: Reason | None = None,
    start: int = 0,
    most: int | None = None,
) -> AtRisk:
    """Those with most reasons first, then who waits longest: `most` of them from `start` on.

    Silent: nobody wrote for so many days. `reason` leaves out those for which it does not hold. `changed`:
    what `read_changed` told before. Two statements.
    """
    moved = moved_lately(website_id, now - timedelta(days=limits.silent_days))
    asked = _asked(website_id, now, limits, changed, moved)
    found = _by_company((await connection.execute(asked)).all())
    return await _at_risk(connection, website_id, now, found, reason, start, most)


async def accounts_at_a_glance(
    connection: AsyncConnection,
    website_id: str,
    now: datetime,
    changed: Collection[str] | None,
    *,
    at_risk: int,
    busiest: int,
) -> tuple[AtRisk, Sequence[Any]]:
    """So many of the accounts at risk, as by `accounts_at_risk`, and so many of those with the most
    conversations that moved in the last SILENT_DAYS: `id`, `name`, `moved`, `open`. Two statements.
    """
    moved = moved_lately(website_id, now - timedelta(days=SILENT_DAYS))
    asked = _asked(website_id, now, USUAL_LIMITS, changed, moved)
    rows, busy = await ask_together(connection, asked, busiest_of(moved, website_id, busiest))
    found = _by_company(rows)
    return await _at_risk(connection, website_id, now, found, None, 0, at_risk), busy


async def _at_risk(
    connection: AsyncConnection,
    website_id: str,
    now: datetime,
    found: Sequence[_Found],
    reason: Reason | None,
    start: int,
    most: int | None,
) -> AtRisk:
    wanted = [one for one in found if reason is None or reason in one.reasons]
    ordered = sorted(wanted, key=lambda one: _urgency(one, now))
    shown = ordered[start:] if most is None else ordered[start : start + most]
    silent = [one.company_id for one in shown if "silent" in one.reasons]
    last = await _last_contact(connection, website_id, silent) if silent else {}
    accounts = [
        AccountAtRisk(
            one.company_id,
            one.name,
            (now - last[one.company_id]).days if one.company_id in last else None,
            one.waiting_since,
            None if one.rating is None else round(one.rating, 2),
        )
        for one in shown
    ]
    counts: dict[Reason, int] = {
        name: sum(name in one.reasons for one in found) for name in REASONS
    }
    return AtRisk(accounts, len(wanted), counts)


def _urgency(one: _Found, now: datetime) -> tuple[Any, ...]:
    return -len(one.reasons), one.waiting_since or now, one.name, one.company_id


def _asked(
    website_id: str, now: datetime, limits: Limits, changed: Collection[str] | None, moved: CTE
) -> AnySelect:
    """A row for each reason of each account."""
    waiting_since = now - timedelta(hours=limits.waiting_hours)
    reasons = union_all(
        find_waiting(website_id, waiting_since, changed),
        _badly_rated(website_id, now - RATED_WITHIN),
        _silent(website_id, moved),
    ).subquery("reasons")
    theirs = and_(companies.c.website_id == website_id, companies.c.id == reasons.c.company_id)
    return (
        select(reasons, companies.c.name)
        .join_from(reasons, companies, theirs)
        .where(companies.c.deleted_at.is_(None))
    )


def _by_company(rows: Iterable[Any]) -> list[_Found]:
    found: dict[str, _Found] = {}
    for row in rows:
        one = found.setdefault(row.company_id, _Found(row.company_id, row.name))
        one.reasons.add(row.reason)
        one.waiting_since = one.waiting_since or row.waiting_since
        one.rating = one.rating if row.rating is None else float(row.rating)
    return list(found.values())


def _badly_rated(website_id: str, since: datetime) -> AnySelect:
    return (
        select(*reason_columns(_link.company_id, "badly_rated", rating=func.avg(_c.rating)))
        .join_from(conversations, conversation_companies, _OWNED)
        .where(
            _c.website_id == website_id,
            _c.deleted_at.is_(None),
            _c.rating.is_not(None),
            _c.crisp_updated_at >= since,
        )
        .group_by(_link.company_id)
        .having(func.avg(_c.rating) <= BAD_RATING)
    )


def _silent(website_id: str, moved: CTE) -> AnySelect:
    """Companies that once talked, without those of which somebody spoke lately.

    What moved lately is little and found by an index; the last contact of all of them is not.
    """
    spoke = select(moved.c.company_id).where(moved.c.spoke == 1, moved.c.company_id.is_not(None))
    talked = (
        select(_link.company_id)
        .join_from(conversations, conversation_companies, _OWNED)
        .where(
            _link.website_id == website_id,
            _link.company_id == companies.c.id,
            _c.deleted_at.is_(None),
            spoken_at.is_not(None),
        )
        .correlate(companies)
        .exists()
    )
    return select(*reason_columns(companies.c.id, "silent")).where(
        companies.c.website_id == website_id, companies.c.id.not_in(spoke), talked
    )


async def _last_contact(
    connection: AsyncConnection, website_id: str, company_ids: Sequence[str]
) -> dict[str, datetime]:
    """When somebody last wrote in a conversation of each of them."""
    last = func.max(spoken_at, type_=UtcDateTime())
    rows: Sequence[StoredRow] = (
        await connection.execute(
            select(_link.company_id, last.label("last_at"))
            .join_from(conversation_companies, conversations, _OWNED)
            .where(
                _link.website_id == website_id,
                _link.company_id.in_(company_ids),
                _c.deleted_at.is_(None),
            )
            .group_by(_link.company_id)
        )
    ).all()
    return {row.company_id: row.last_at for row in rows}
