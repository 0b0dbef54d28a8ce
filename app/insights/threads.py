"""Reading what was said in conversations, as far as figures are made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations, messages, operators
from app.insights.thread import Said

_STATE = "state:"
_STATES = frozenset({"pending", "unresolved", "resolved"})


async def read_said(
    connection: AsyncConnection,
    *where: ColumnElement[bool],
    until: datetime | None = None,
    by_new_names: bool = True,
) -> Mapping[str, list[Said]]:
    """By conversation id, in one statement; `where` are conditions on `conversations`. With `until` what
    had been said then, and not been removed then.

    Operators by the name they have now, or as each message calls them.
    """
    m, c = messages.c, conversations.c
    theirs = and_(m.website_id == c.website_id, m.conversation_id == c.id)
    found, name = conversations.join(messages, theirs), cast("ColumnElement[Any]", m.sender_name)
    if by_new_names:
        found = found.outerjoin(
            operators,
            and_(
                operators.c.website_id == m.website_id,
                operators.c.user_id == m.sender_id,
                m.direction == "outbound",
            ),
        )
        name = func.coalesce(operators.c.name, m.sender_name)
    rows = await connection.execute(
        select(
            m.conversation_id,
            m.sent_at,
            m.direction,
            m.automated,
            m.sender_id,
            name.label("sender"),
            case((m.type == "event", m.content)).label("told"),
        )
        .select_from(found)
        .where(
            *where,
            m.deleted_at.is_(None) if until is None else _was_there(until),
            m.complete,
            m.sent_at.is_not(None),
            or_(m.direction != "internal", m.type == "event"),
            *([m.sent_at <= until] if until is not None else []),
        )
    )
    said: dict[str, list[Said]] = defaultdict(list)
    for row in rows:
        said[row.conversation_id].append(
            Said(
                row.sent_at,
                row.direction,
                bool(row.automated),
                row.sender,
                row.sender_id,
                _state(row.told),
            )
        )
    return said


def _was_there(moment: datetime) -> ColumnElement[bool]:
    return or_(messages.c.deleted_at.is_(None), messages.c.deleted_at > moment)


def _state(content: Any) -> str | None:
    name = content.get("namespace") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name.startswith(_STATE):
        return None
    state = name.removeprefix(_STATE)
    return state if state in _STATES else None
