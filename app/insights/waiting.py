"""Companies whose customers wait for an answer, and since when (SPEC V8)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Numeric,
    and_,
    case,
    cast,
    func,
    literal,
    not_,
    null,
    select,
    union_all,
)

from app.conversations.tables import conversation_companies, conversations, messages
from app.db.base import AnySelect, UtcDateTime
from app.db.one_of import is_one_of
from app.insights.tables import thread_facts

_c, _link, _m = conversations.c, conversation_companies.c, messages.c
_SAID = and_(_m.website_id == _c.website_id, _m.conversation_id == _c.id)
_HUMAN = and_(
    _m.direction != "internal", ~_m.automated, _m.deleted_at.is_(None), _m.complete,
    _m.sent_at.is_not(None),
)  # fmt: skip


def reason_columns(
    company_id: Any, reason: str, waiting_since: Any = None, rating: Any = None
) -> tuple[ColumnElement[Any], ...]:
    """What each reason for an account to be at risk is told in."""
    since = cast(null(), UtcDateTime()) if waiting_since is None else waiting_since
    mean = cast(null(), Numeric()) if rating is None else cast(rating, Numeric())
    return (
        company_id.label("company_id"),
        literal(reason).label("reason"),
        since.label("waiting_since"),
        mean.label("rating"),
    )


def find_waiting(website_id: str, before: datetime, changed: Collection[str] | None) -> AnySelect:
    """Since when the customers of each company have waited longest; only those before that moment."""
    threads = waiting_threads(website_id, changed, before).subquery("threads")
    owned = and_(_link.website_id == website_id, _link.conversation_id == threads.c.id)
    longest = func.min(threads.c.since, type_=UtcDateTime())
    return (
        select(*reason_columns(_link.company_id, "waiting", waiting_since=longest))
        .join_from(threads, conversation_companies, owned)
        .group_by(_link.company_id)
    )


def waiting_threads(
    website_id: str, changed: Collection[str] | None, before: datetime | None = None
) -> AnySelect | CompoundSelect[Any]:
    """`id`, `since`: the conversations in which a customer waits, and the first message without an answer.

    From what is kept, and of the conversations that `changed` since from their messages; None is all.
    """
    if changed is None:
        return _by_messages(website_id, before)
    f = thread_facts.c
    kept = select(f.conversation_id.label("id"), f.waiting_since.label("since")).where(
        f.website_id == website_id, f.waiting_since.is_not(None)
    )
    if before is not None:
        kept = kept.where(f.waiting_since <= before)
    if not changed:
        return kept
    return union_all(
        kept.where(not_(is_one_of(f.conversation_id, changed))),
        _by_messages(website_id, before, is_one_of(_c.id, changed)),
    )


def _by_messages(
    website_id: str, before: datetime | None, *narrowed: ColumnElement[bool]
) -> AnySelect:
    """As app/insights/thread.py has it: from the first message after the last answer of a person."""
    answered_at = func.max(case((_m.direction == "outbound", _m.sent_at)), type_=UtcDateTime())
    talks = (
        select(_c.website_id, _c.id, answered_at.label("answered_at"))
        .select_from(conversations.join(messages, _SAID))
        .where(
            _c.website_id == website_id,
            _c.deleted_at.is_(None),
            _c.status != "resolved",
            _HUMAN,
            *narrowed,
        )
        .group_by(_c.website_id, _c.id)
        .having(
            func.max(case((_m.direction == "inbound", _m.sent_at)), type_=UtcDateTime())
            > func.coalesce(answered_at, _long_ago())
        )
    )
    if before is not None:  # those that had already been asked something by then
        talks = talks.having(func.min(_m.sent_at) <= before)
    found = talks.subquery("talks")
    asked = and_(_m.website_id == website_id, _m.conversation_id == found.c.id)
    since = func.min(_m.sent_at, type_=UtcDateTime())
    query = (
        select(found.c.id, since.label("since"))
        .join_from(found, messages, asked)
        .where(
            _HUMAN,
            _m.direction == "inbound",
            _m.sent_at > func.coalesce(found.c.answered_at, _long_ago()),
        )
        .group_by(found.c.id)
    )
    return query if before is None else query.having(func.min(_m.sent_at) <= before)


def _long_ago() -> ColumnElement[Any]:
    return literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime())
