"""What is stored of threads already, asked before messages of them are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Select, bindparam, case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.conversations.tables import conversations, messages
from app.db.base import StoredRow
from app.db.in_turn import Query, run_in_turn
from app.db.lookup import any_of, asking_rows
from app.db.one_of import is_one_of
from app.records import MESSAGE_SETTLE_MS, ThreadProgress, conversation_id

MessageKey = tuple[str, int]
"""A conversation's id, and a message's fingerprint."""

COUNTED = ("sent_at", "deleted_at")
_KEY = ("conversation_id", "fingerprint")
_SHOWN = (
    *COUNTED,
    "direction",
    "type",
    "body",
    "content",
    "sender_name",
    "automated",
    "edited_at",
    "complete",
    "text_dropped_at",
)


class _OfThread(Protocol):
    @property
    def session_id(self) -> str: ...


class Begun(NamedTuple):
    """Ids of conversations of which a message is stored, or a mark of one.

    Of those whose threads were read: how many messages there are to see, which of them changed so shortly before
    the reading that it may not show that, and in which of these a hook told of so late an edit.

    `shown`: what there is to see of the messages that were asked about, by key.
    """

    ids: Set[str]
    counts: Mapping[str, int]
    moved_late: Set[str]
    edited_late: Set[str]
    shown: Mapping[MessageKey, StoredRow]

    @staticmethod
    def of(rows: Iterable[StoredRow]) -> Begun:
        """From the answer to `asking_begun`."""
        rows = list(rows)
        return Begun(
            {row.id for row in rows if row.begun},
            {row.id: row.message_count for row in rows},
            {row.id for row in rows if row.moved_late},
            {row.id for row in rows if row.edited_late},
            {},
        )


def asking_begun(
    website_id: str,
    ids: Sequence[str],
    read: Sequence[ThreadProgress] = (),
    *more: ColumnElement[Any],
) -> Query:
    """About the conversations `ids`, and `more` of each; `read`: how far threads of them were read."""
    settled = settled_ms(read)
    late_ms = _NEVER if settled is None else settled
    values = {"settled_ms": late_ms, "settled": from_ms(late_ms)}
    return Query(_begun(more), {"website": website_id, "conversations": ids, **values})


async def find_begun(
    connection: AsyncConnection,
    website_id: str,
    ids: Sequence[str],
    read: Sequence[ThreadProgress] = (),
) -> Begun:
    return Begun.of(await connection.execute(*asking_begun(website_id, ids, read)))


async def with_shown(
    connection: AsyncConnection, website_id: str, begun: Begun, keys: Iterable[MessageKey]
) -> Begun:
    # Most threads are read for the first time: asking by conversation costs a tenth then.
    again = list(dict.fromkeys(key for key in keys if key[0] in begun.ids))
    if not again:
        return begun
    (rows,) = await run_in_turn(connection, asking_shown(connection, website_id, again))
    return begun._replace(shown=by_key(rows))


def asking_shown(connection: AsyncConnection, website_id: str, keys: Sequence[MessageKey]) -> Query:
    """Their key, then what `COUNTED` names, then what else there is to see of them."""
    return asking_rows(connection, messages, website_id, _KEY, keys, _SHOWN)


def by_key(rows: Iterable[StoredRow]) -> dict[MessageKey, StoredRow]:
    return {(row[0], row[1]): row for row in rows}


def ids_of(website_id: str, records: Iterable[_OfThread]) -> list[str]:
    """The conversations that these are of, each once."""
    return sorted({conversation_id(website_id, record.session_id) for record in records})


def settled_ms(read: Iterable[ThreadProgress]) -> int | None:
    """Whatever is older than this was there to be read; None when it is not known when they were read."""
    asked = [thread.asked_ms for thread in read if thread.asked_ms is not None]
    return min(asked) - MESSAGE_SETTLE_MS if asked else None


_NEVER = 2**42  # ms; in the year 2109


@cache
def _begun(more: tuple[ColumnElement[Any], ...]) -> Select[Any]:
    theirs = (
        messages.c.website_id == conversations.c.website_id,
        messages.c.conversation_id == conversations.c.id,
    )
    late = (messages.c.edited_at.is_not(None), messages.c.version_ms > bindparam("settled_ms"))
    moved_late = conversations.c.crisp_updated_at > bindparam("settled")
    return select(
        conversations.c.id,
        conversations.c.message_count,
        any_of(messages, *theirs).label("begun"),
        moved_late.label("moved_late"),
        case((moved_late, any_of(messages, *theirs, *late))).label("edited_late"),
        *more,
    ).where(
        conversations.c.website_id == bindparam("website"),
        is_one_of(conversations.c.id, "conversations"),
    )
