"""The statements that write links, built once: composing them costs more than running them on a page."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.companies.tables import companies, contact_companies, domain_ties
from app.conversations.tables import conversation_companies, conversations
from app.db.base import UtcDateTime
from app.db.given import given_rows
from app.db.lookup import any_of
from app.db.one_of import is_one_of
from app.matching.rules import LINK, MATCHED_BY, matches

WEBSITE: ColumnElement[str] = bindparam("website")


def in_scope(*, whole: bool) -> ColumnElement[bool]:
    """Conversations of `WEBSITE`: all of them, or those with the parameter `ids`."""
    of_website = conversations.c.website_id == WEBSITE
    return of_website if whole else and_(of_website, is_one_of(conversations.c.id, "ids"))


@cache
def matches_of_new(dialect: str) -> Select[Any]:
    """Whose the conversations in the JSON text `talks` are, which are not stored yet."""
    talks = given_rows(dialect, conversations, MATCHED_BY, "talks")
    return matches(talks, WEBSITE, true(), whole=False)


@cache
def link_contacts(*, whole: bool) -> Any:
    """Write each conversation's contact and why, where that differs from what is stored.

    This and the next two return the ids of the conversations whose link changed.
    """
    found = matches(conversations, WEBSITE, in_scope(whole=whole), whole=whole).subquery("found")
    pairs = {name: found.c[name] for name in LINK}
    return (
        update(conversations)
        .where(
            conversations.c.website_id == WEBSITE,
            conversations.c.id == found.c.id,
            or_(*(conversations.c[name].is_distinct_from(new) for name, new in pairs.items())),
        )
        .values(
            **pairs,
            matched_at=case(
                (conversations.c.contact_id == found.c.contact_id, conversations.c.matched_at),
                (found.c.contact_id.is_not(None), bindparam("matched_at", type_=UtcDateTime())),
            ),
        )
        .returning(conversations.c.id)
    )


@cache
def unlink_companies(*, whole: bool) -> Any:
    """Take away companies whose membership does not cover the conversation (any more)."""
    asked = select(conversations.c.id).where(in_scope(whole=whole))
    return (
        delete(conversation_companies)
        .where(
            conversation_companies.c.website_id == WEBSITE,
            conversation_companies.c.conversation_id.in_(asked),
            ~exists().where(
                conversations.c.website_id == WEBSITE,
                conversations.c.id == conversation_companies.c.conversation_id,
                contact_companies.c.company_id == conversation_companies.c.company_id,
                *_covered(),
            ),
            ~exists().where(
                conversations.c.website_id == WEBSITE,
                conversations.c.id == conversation_companies.c.conversation_id,
                domain_ties.c.company_id == conversation_companies.c.company_id,
                *_tied(),
            ),
        )
        .returning(conversation_companies.c.conversation_id)
    )


@cache
def link_companies(dialect: str, *, whole: bool) -> Any:
    """Add the companies of the contact whose membership covers the conversation."""
    asked = in_scope(whole=whole)
    columns = (conversations.c.website_id, conversations.c.id)
    wanted = union(
        select(*columns, contact_companies.c.company_id).where(asked, *_covered()),
        select(*columns, domain_ties.c.company_id).where(asked, *_tied()),
    )
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return (
        insert(conversation_companies)
        .from_select(["website_id", "conversation_id", "company_id"], wanted)
        .on_conflict_do_nothing()
        .returning(conversation_companies.c.conversation_id)
    )


DEPENDENT = any_of(
    contact_companies,
    contact_companies.c.website_id == conversations.c.website_id,
    contact_companies.c.contact_id == conversations.c.contact_id,
    or_(contact_companies.c.replaced_another, contact_companies.c.until.is_not(None)),
).label("dependent")
"""The contact of a conversation changed company once: the time of the last message decides about its companies."""


@cache
def dependent() -> Select[Any]:
    """Those of some conversations for which that is so."""
    return select(conversations.c.id).where(in_scope(whole=False), DEPENDENT.element)


def _covered() -> tuple[ColumnElement[bool], ...]:
    """The membership covers the conversation's last message (SPEC M3)."""
    last: Any = func.coalesce(
        conversations.c.last_message_at, conversations.c.crisp_created_at, type_=UtcDateTime()
    )
    since, until = contact_companies.c.since, contact_companies.c.until
    return (
        contact_companies.c.website_id == WEBSITE,
        contact_companies.c.contact_id == conversations.c.contact_id,
        or_(~contact_companies.c.replaced_another, since <= last),
        or_(until.is_(None), and_(last.is_not(None), last < until)),
        _is_shown(contact_companies.c.company_id),
    )


def _is_shown(company_id: ColumnElement[str]) -> ColumnElement[bool]:
    """A hidden company has no conversations, whoever its members are."""
    return exists().where(
        companies.c.website_id == WEBSITE,
        companies.c.id == company_id,
        companies.c.deleted_at.is_(None),
    )


def _tied() -> tuple[ColumnElement[bool], ...]:
    """A person gave the domain of the conversation's address to the company (SPEC M9)."""
    return (
        domain_ties.c.website_id == WEBSITE,
        domain_ties.c.domain == domain_of(conversations.c.email_norm),
        _is_shown(domain_ties.c.company_id),
    )


def domain_of(address: ColumnElement[Any]) -> ColumnElement[str]:
    """What follows the @ of a normal address, in functions that both databases have.

    Stripping from the right every letter that is not `@` leaves `local@`; taking that away leaves
    the domain. Without parameters: an index of conversations holds this very expression.
    """
    at: ColumnElement[str] = literal_column("'@'")
    nothing: ColumnElement[str] = literal_column("''")
    local_and_at = func.rtrim(address, func.replace(address, at, nothing))
    return func.replace(address, local_and_at, nothing)
