"""Companies whose customers wait for an answer, and since when (SPEC V8)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Numeric, and_, case, cast, func, literal, not_, null, select

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


def find_waiting(
    website_id: str, before: datetime, changed: Collection[str] | None
) -> list[AnySelect]:
    """Since when the customers of each company have waited longest; only those before that moment.

    From what is kept, and of the conversations that `changed` since from their messages; None is all.
    """
    if changed is None:
        return [_waiting_in_threads(website_id, before)]
    f = thread_facts.c
    owned = and_(_link.website_id == website_id, _link.conversation_id == f.conversation_id)
    kept = (
        select(
            *reason_columns(
                _link.company_id,
                "waiting",
                waiting_since=func.min(f.waiting_since, type_=UtcDateTime()),
            )
        )
        .join_from(thread_facts, conversation_companies, owned)
        .where(f.website_id == website_id, f.waiting_since <= before)
        .group_by(_link.company_id)
    )
    if not changed:
        return [kept]
    return [
        kept.where(not_(is_one_of(f.conversation_id, changed))),
        _waiting_in_threads(website_id, before, is_one_of(_c.id, changed)),
    ]


def _waiting_in_threads(
    website_id: str, before: datetime, *narrowed: ColumnElement[bool]
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
            _c.message_count > 0,
            _HUMAN,
            *narrowed,
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
        select(*reason_columns(_link.company_id, "waiting", waiting_since=longest))
        .join_from(since, conversation_companies, owned)
        .group_by(_link.company_id)
    )


def _long_ago() -> ColumnElement[Any]:
    return literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime())
