"""What a search finds: the best few of each kind, in one statement each, whatever the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.db.keyset import ByteOrder
from app.db.words import MOST_HITS, has_words, without_index, words_of
from app.pages.listing import matching_words
from app.pages.queries_conversations import rows_of
from app.pages.rows import AnyRow, AnySelect

ROWS = 6


@dataclass(frozen=True, slots=True)
class Found:
    """Each list has up to ROWS rows, and one more where there are more."""

    contacts: Sequence[AnyRow] = ()
    companies: Sequence[AnyRow] = ()
    conversations: Sequence[AnyRow] = ()
    messages: Sequence[AnyRow] = ()

    @property
    def nothing(self) -> bool:
        return not (self.contacts or self.companies or self.conversations or self.messages)


async def find(connection: AsyncConnection, website_id: str, q: str) -> Found:
    words = words_of(q)
    if not words:
        return Found()
    plans = (
        _people(website_id, q),
        _firms(website_id, q),
        _talks(website_id, q),
        _said(website_id, words),
    )
    return Found(*[(await connection.execute(plan)).all() for plan in plans])


def _people(website_id: str, q: str) -> AnySelect:
    c = contacts.c
    query = select(c.id, c.name, c.email, c.last_active_at).where(
        c.website_id == website_id, c.deleted_at.is_(None)
    )
    order = (c.last_active_at.desc().nulls_last(), c.id)
    return matching_words(query, contacts, q).order_by(*order).limit(ROWS + 1)


def _firms(website_id: str, q: str) -> AnySelect:
    c = companies.c
    query = select(c.id, c.name, c.domain).where(c.website_id == website_id, c.deleted_at.is_(None))
    return matching_words(query, companies, q).order_by(ByteOrder(c.search), c.id).limit(ROWS + 1)


def _talks(website_id: str, q: str) -> AnySelect:
    order = (conversations.c.crisp_updated_at.desc().nulls_last(), conversations.c.id)
    query = matching_words(rows_of(website_id), conversations, q)
    return query.order_by(*order).limit(ROWS + 1)


def _said(website_id: str, words: list[str]) -> AnySelect:
    """Of each conversation the newest message that has the words."""
    m = messages.c
    hits = (
        select(m.conversation_id, m.fingerprint, m.sent_at)
        .where(
            without_index(m.website_id) == website_id,
            m.deleted_at.is_(None),
            has_words("messages", words),
        )
        .limit(MOST_HITS)
        .subquery("hits")
    )
    newest = func.row_number().over(
        partition_by=hits.c.conversation_id,
        order_by=(hits.c.sent_at.desc().nulls_last(), hits.c.fingerprint.desc()),
    )
    ranked = select(hits, newest.label("nth")).subquery("ranked")
    best = (
        select(ranked)
        .where(ranked.c.nth == 1)
        .order_by(ranked.c.sent_at.desc().nulls_last(), ranked.c.conversation_id)
        .limit(ROWS + 1)
        .subquery("best")
    )
    return (
        rows_of(website_id, m.fingerprint, m.body, m.sender_name, m.direction, best.c.sent_at)
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
