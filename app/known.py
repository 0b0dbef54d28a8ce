"""What is stored of what a batch speaks of, asked on one way before anything of it is written.

Asked later, each answer would have to wait for the writes before it, and come on a way of its own.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.store import asking_people
from app.conversations.begun import Begun, asking_begun, ids_of, with_shown
from app.conversations.store import Stored, asking_stored
from app.db.base import StoredRow
from app.db.in_turn import Query, run_in_turn
from app.db.statistics import asking_unknown
from app.matching.statements import DEPENDENT
from app.records import Batch, conversation_id

# What the checks of foreign keys and the matching read.
PLANNED_BY = (
    "contacts",
    "contact_emails",
    "companies",
    "company_aliases",
    "contact_companies",
    "conversations",
    "conversation_companies",
)


class Known(NamedTuple):
    """`dependent`: ids of conversations with messages or threads in the batch whose companies depend on when the
    last message was sent. `unknown`: tables that PostgreSQL does not know to have grown.
    """

    people: Sequence[StoredRow]
    stored: Stored
    begun: Begun
    dependent: Set[str]
    unknown: Sequence[str]


async def find_known(
    connection: AsyncConnection, batch: Batch, *first: Query
) -> tuple[list[Sequence[StoredRow]], Known]:
    """The rows of each of `first`, and on the same way what is known behind them.

    Each sees what was committed while the one before it waited: for the lock of the website, which is to be
    had by then. More may be in the batch than is written of it in the end.
    """
    asked = _questions(connection, batch)
    rows = await run_in_turn(connection, *first, *asked.values())
    answers = dict(zip(asked, rows[len(first) :], strict=True))
    keys = (
        (conversation_id(batch.website_id, m.session_id), m.fingerprint) for m in batch.messages
    )
    threads = answers.get("threads", ())
    begun = await with_shown(connection, batch.website_id, Begun.of(threads), keys)
    return rows[: len(first)], Known(
        answers.get("people", ()),
        Stored.of(answers.get("rows", ()), answers.get("names", ())),
        begun,
        {row.id for row in threads if row.dependent},
        [row[0] for row in answers.get("unknown", ())],
    )


def _questions(connection: AsyncConnection, batch: Batch) -> dict[str, Query]:
    website_id = batch.website_id
    asked: dict[str, Query] = {}
    if batch.contacts:
        asked["people"] = asking_people(website_id, batch.contacts)
    if batch.conversations:
        asked["rows"], asked["names"] = asking_stored(website_id, batch.conversations)
    if threads := ids_of(website_id, [*batch.messages, *batch.edits, *batch.threads]):
        asked["threads"] = asking_begun(website_id, threads, batch.threads, DEPENDENT)
    if (batch.contacts or batch.conversations) and connection.dialect.name == "postgresql":
        asked["unknown"] = asking_unknown(PLANNED_BY)
    return asked
