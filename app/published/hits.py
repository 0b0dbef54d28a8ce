"""What a search finds: the best few of each kind, in one statement each, whatever the size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.db.base import AnySelect, StoredRow
from app.db.keyset import ByteOrder
from app.db.words import without_index, words_of
from app.published.conversation_rows import rows_of
from app.published.searching import matching_words, saying

ROWS = 6
Kind = Literal["contacts", "companies", "conversations", "messages"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Found:
    """Each list has up to as many rows as were asked for, and one more where there are more."""

    contacts: Sequence[StoredRow] = ()
    companies: Sequence[StoredRow] = ()
    conversations: Sequence[StoredRow] = ()
    messages: Sequence[StoredRow] = ()

    @property
    def nothing(self) -> bool:
        return not (self.contacts or self.companies or self.conversations or self.messages)


async def find(
    connection: AsyncConnection,
    website_id: str,
    q: str,
    kinds: Collection[Kind] = KINDS,
    size: int = ROWS,
    *,
    notes: bool = True,
) -> Found:
    """`notes`: private notes are among the messages."""
    words = words_of(q)
    if not words:
        return Found()
    plans: Mapping[Kind, Callable[[], AnySelect]] = {
        "contacts": lambda: _people(website_id, q),
        "companies": lambda: _firms(website_id, q),
        "conversations": lambda: _talks(website_id, q),
        "messages": lambda: _said(website_id, words, size, notes),
    }
    found = {}
    for kind in KINDS:
        if kind in kinds:
            plan = plans[kind]().limit(size + 1)
            found[kind] = (await connection.execute(plan)).all()
    return Found(**found)


def _people(website_id: str, q: str) -> AnySelect:
    c = contacts.c
    query = select(c.id, c.name, c.email, c.last_active_at).where(
        c.website_id == website_id, c.deleted_at.is_(None)
    )
    order = (c.last_active_at.desc().nulls_last(), c.id)
    return matching_words(query, contacts, q).order_by(*order)


def _firms(website_id: str, q: str) -> AnySelect:
    c = companies.c
    query = select(c.id, c.name, c.domain).where(c.website_id == website_id, c.deleted_at.is_(None))
    return matching_words(query, companies, q).order_by(ByteOrder(c.search), c.id)


def _talks(website_id: str, q: str) -> AnySelect:
    order = (conversations.c.crisp_updated_at.desc().nulls_last(), conversations.c.id)
    return matching_words(rows_of(website_id), conversations, q).order_by(*order)


def _said(website_id: str, words: list[str], size: int, notes: bool) -> AnySelect:
    """Of each conversation the newest message that has the words."""
    m = messages.c
    own = select(m.conversation_id, m.fingerprint, m.sent_at).where(
        without_index(m.website_id) == website_id
    )
    hits = saying(own, words, notes=notes).subquery("hits")
    newest = func.row_number().over(
        partition_by=hits.c.conversation_id,
        order_by=(hits.c.sent_at.desc().nulls_last(), hits.c.fingerprint.desc()),
    )
    ranked = select(hits, newest.label("nth")).subquery("ranked")
    best = (
        select(ranked)
        .where(ranked.c.nth == 1)
        .order_by(ranked.c.sent_at.desc().nulls_last(), ranked.c.conversation_id)
        .limit(size + 1)
        .subquery("best")
    )
    return (
        rows_of(
            website_id, m.fingerprint, m.type, m.body, m.sender_name, m.direction, best.c.sent_at
        )
        .join(best, best.c.conversation_id == conversations.c.id)
        .join(
            messages,
            and_(
                m.website_id == conversations.c.website_id,
                m.conversation_id == best.c.conversation_id,
                m.fingerprint == best.c.fingerprint,
            ),
        )
        .order_by(best.c.sent_at.desc().nulls_last(), conversations.c.id)
    )
