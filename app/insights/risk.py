"""Accounts at risk, each with its reasons: silent, waiting, badly rated (SPEC V8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Numeric,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.conversations.tables import conversation_companies, conversations, messages
from app.db.base import AnySelect, StoredRow, UtcDateTime

Reason = Literal["waiting", "badly_rated", "silent"]
REASONS: tuple[Reason, ...] = ("waiting", "badly_rated", "silent")

SILENT_DAYS = 30
WAITING_HOURS = 24
BAD_RATING = 2.0
RATED_WITHIN = timedelta(days=90)
_CLOCKS = timedelta(days=1)

_c, _link, _m = conversations.c, conversation_companies.c, messages.c
_OWNED = and_(_link.website_id == _c.website_id, _link.conversation_id == _c.id)
_SAID = and_(_m.website_id == _c.website_id, _m.conversation_id == _c.id)
_HUMAN = and_(
    _m.direction != "internal", ~_m.automated, _m.deleted_at.is_(None), _m.complete,
    _m.sent_at.is_not(None),
)  # fmt: skip
_spoken_at = func.coalesce(_c.last_message_at, _c.crisp_updated_at)


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
    *,
    silent_days: int = SILENT_DAYS,
    waiting_hours: int = WAITING_HOURS,
    reason: Reason | None = None,
    start: int = 0,
    most: int | None = None,
) -> AtRisk:
    """Those with most reasons first, then who waits longest: `most` of them from `start` on.

    Silent: nobody wrote for so many days. `reason` leaves out those for which it does not hold. Two
    statements.
    """
    silent_since = now - timedelta(days=silent_days)
    waiting_since = now - timedelta(hours=waiting_hours)
    found = await _find(connection, website_id, silent_since, waiting_since, now - RATED_WITHIN)
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


async def _find(
    connection: AsyncConnection,
    website_id: str,
    silent_since: datetime,
    waiting_since: datetime,
    rated_since: datetime,
) -> list[_Found]:
    reasons = union_all(
        _waiting(website_id, waiting_since),
        _badly_rated(website_id, rated_since),
        _silent(website_id, silent_since),
    ).subquery("reasons")
    rows = await connection.execute(
        select(reasons, companies.c.name)
        .join_from(
            reasons,
            companies,
            and_(companies.c.website_id == website_id, companies.c.id == reasons.c.company_id),
        )
        .where(companies.c.deleted_at.is_(None))
    )
    found: dict[str, _Found] = {}
    for row in rows:
        one = found.setdefault(row.company_id, _Found(row.company_id, row.name))
        one.reasons.add(row.reason)
        one.waiting_since = one.waiting_since or row.waiting_since
        one.rating = one.rating if row.rating is None else float(row.rating)
    return list(found.values())


def _columns(
    company_id: Any, reason: Reason, waiting_since: Any = None, rating: Any = None
) -> tuple[ColumnElement[Any], ...]:
    since = cast(null(), UtcDateTime()) if waiting_since is None else waiting_since
    mean = cast(null(), Numeric()) if rating is None else cast(rating, Numeric())
    return (
        company_id.label("company_id"),
        literal(reason).label("reason"),
        since.label("waiting_since"),
        mean.label("rating"),
    )


def _waiting(website_id: str, before: datetime) -> AnySelect:
    """Since when the customers of each company have waited longest; only those before that moment.

    As app/insights/thread.py has it: from the first message after the last answer of a person.
    """
    answered_at = func.max(case((_m.direction == "outbound", _m.sent_at)), type_=UtcDateTime())
    talks = (
        select(_c.website_id, _c.id, answered_at.label("answered_at"))
        .select_from(conversations.join(messages, _SAID))
        .where(
            _c.website_id == website_id,
            _c.deleted_at.is_(None),
            _c.status != "resolved",
            _c.message_count > 0,
            _HUMAN,
        )
        .group_by(_c.website_id, _c.id)
        # Those that wait, and had already been asked something by then.
        .having(
            func.max(case((_m.direction == "inbound", _m.sent_at)), type_=UtcDateTime())
            > func.coalesce(answered_at, _long_ago())
        )
        .having(func.min(_m.sent_at) <= before)
        .subquery("talks")
    )
    asked = and_(_m.website_id == website_id, _m.conversation_id == talks.c.id)
    since = (
        select(talks.c.id, func.min(_m.sent_at).label("since"))
        .join_from(talks, messages, asked)
        .where(
            _HUMAN,
            _m.direction == "inbound",
            _m.sent_at > func.coalesce(talks.c.answered_at, _long_ago()),
        )
        .group_by(talks.c.id)
        .having(func.min(_m.sent_at) <= before)
        .subquery("since")
    )
    owned = and_(_link.website_id == website_id, _link.conversation_id == since.c.id)
    longest = func.min(since.c.since, type_=UtcDateTime())
    return (
        select(*_columns(_link.company_id, "waiting", waiting_since=longest))
        .join_from(since, conversation_companies, owned)
        .group_by(_link.company_id)
    )


def _long_ago() -> ColumnElement[Any]:
    return literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime())


def _badly_rated(website_id: str, since: datetime) -> AnySelect:
    return (
        select(*_columns(_link.company_id, "badly_rated", rating=func.avg(_c.rating)))
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


def _silent(website_id: str, since: datetime) -> AnySelect:
    """Companies that once talked, without those of which a conversation moved since then.

    What moved lately is little and found by an index; the last contact of all of them is not.
    """
    moved = (
        select(_link.company_id)
        .join_from(conversations, conversation_companies, _OWNED)
        .where(
            _c.website_id == website_id,
            _c.deleted_at.is_(None),
            # A message moves this as well, give or take the clocks, and there is an index by it.
            or_(_c.crisp_updated_at >= since - _CLOCKS, _c.crisp_updated_at.is_(None)),
            _spoken_at > since,
        )
    )
    talked = (
        select(_link.company_id)
        .join_from(conversations, conversation_companies, _OWNED)
        .where(
            _link.website_id == website_id,
            _link.company_id == companies.c.id,
            _c.deleted_at.is_(None),
            _spoken_at.is_not(None),
        )
        .correlate(companies)
        .exists()
    )
    return select(*_columns(companies.c.id, "silent")).where(
        companies.c.website_id == website_id, companies.c.id.not_in(moved), talked
    )


async def _last_contact(
    connection: AsyncConnection, website_id: str, company_ids: Sequence[str]
) -> dict[str, datetime]:
    """When somebody last wrote in a conversation of each of them."""
    last = func.max(_spoken_at, type_=UtcDateTime())
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
