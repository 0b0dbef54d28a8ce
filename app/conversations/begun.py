"""What is stored of threads already, asked before messages of them are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.conversations.tables import conversations, messages
from app.db.base import StoredRow
from app.db.in_turn import Query, run_in_turn
from app.db.lookup import asking_rows, present
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

    Of those whose threads were read: how many messages there are to see, and in which of them a hook told of
    an edit so shortly before the reading that it may win against what was read.

    `shown`: what there is to see of the messages that were asked about, by key.
    """

    ids: Set[str]
    counts: Mapping[str, int]
    edited_late: Set[str]
    shown: Mapping[MessageKey, StoredRow]

    @staticmethod
    def of(answers: Mapping[str, Sequence[StoredRow]]) -> Begun:
        """From the rows of each of `asking_begun`."""
        return Begun(
            {row[0] for row in answers.get("begun", ())},
            {row[0]: row[1] for row in answers.get("counts", ())},
            {row[0] for row in answers.get("edited_late", ())},
            {},
        )


def asking_begun(
    connection: AsyncConnection,
    website_id: str,
    ids: Sequence[str],
    read: Sequence[ThreadProgress] = (),
) -> dict[str, Query]:
    """About the conversations `ids`; `read`: how far threads of them were read."""
    asked = {"begun": present(connection, messages, website_id, "conversation_id", ids)}
    values = {"website": website_id, "conversations": ids}
    if (settled := settled_ms(read)) is not None:
        late = {"settled": from_ms(settled), "settled_ms": settled}
        asked["edited_late"] = Query(_edited_late(), values | late)
    if any(thread.shown is not None for thread in read):
        asked["counts"] = Query(_counts(), values)
    return asked


async def find_begun(
    connection: AsyncConnection,
    website_id: str,
    ids: Sequence[str],
    read: Sequence[ThreadProgress] = (),
) -> Begun:
    asked = asking_begun(connection, website_id, ids, read)
    rows = await run_in_turn(connection, *asked.values())
    return Begun.of(dict(zip(asked, rows, strict=True)))


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


@cache
def _counts() -> Select[Any]:
    return select(conversations.c.id, conversations.c.message_count).where(
        conversations.c.website_id == bindparam("website"),
        is_one_of(conversations.c.id, "conversations"),
    )


@cache
def _edited_late() -> Select[Any]:
    same = (conversations.c.website_id == messages.c.website_id) & (
        conversations.c.id == messages.c.conversation_id
    )
    return (
        select(messages.c.conversation_id)
        .join(conversations, same)
        .where(
            conversations.c.website_id == bindparam("website"),
            is_one_of(conversations.c.id, "conversations"),
            conversations.c.crisp_updated_at > bindparam("settled"),
            messages.c.edited_at.is_not(None),
            messages.c.version_ms > bindparam("settled_ms"),
        )
        .distinct()
    )
