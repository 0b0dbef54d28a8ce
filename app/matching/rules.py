"""The rules M1 to M7 as one SELECT: for each conversation its contact and why, or why it has none.

One statement for any number of conversations, the same on both databases.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
)

from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations, link_decisions
from app.db.base import Flag

REASONS = (
    "denied",
    "ambiguous_email",
    "contact_removed",
    "unknown_person",
    "unknown_email",
    "no_identity",
)
"""Why a conversation has no contact; the first that applies is given (SPEC M5)."""

by_id = contacts.alias("by_id")
pinned = contacts.alias("pinned")
removed = contacts.alias("removed")
pin = link_decisions.alias("pin")
id_denial = link_decisions.alias("id_denial")
address_denial = link_decisions.alias("address_denial")


def matches(website: ColumnElement[str], scope: ColumnElement[bool]) -> Select[Any]:
    """Columns id, contact_id, rule, value, verified, conflict, reason, of the conversations in `scope`."""
    holders = _holders(website, scope)
    one_holder = holders.c.holders == 1
    id_is_denied = id_denial.c.contact_id.is_not(None)
    address_is_denied = address_denial.c.contact_id.is_not(None)
    decisions = [
        (pinned.c.id.is_not(None), "manual"),
        (and_(by_id.c.id.is_not(None), ~id_is_denied), "people_id"),
        (and_(one_holder, ~address_is_denied), "email"),
    ]
    outcomes: dict[str, dict[str, Any]] = {
        "contact_id": {
            "manual": pinned.c.id,
            "people_id": by_id.c.id,
            "email": holders.c.contact_id,
        },
        "value": {
            "manual": pin.c.decided_by,
            "people_id": conversations.c.people_id,
            "email": conversations.c.email_norm,
        },
    }
    rule = case(*((when, literal(name)) for when, name in decisions), else_=null())
    reason = case(
        (or_(*(when for when, _ in decisions)), null()),
        (or_(and_(by_id.c.id.is_not(None), id_is_denied), one_holder), literal("denied")),
        (holders.c.holders > 1, literal("ambiguous_email")),
        (_was_removed(website), literal("contact_removed")),
        (conversations.c.people_id.is_not(None), literal("unknown_person")),
        (conversations.c.email_norm.is_not(None), literal("unknown_email")),
        else_=literal("no_identity"),
    )
    conflict = case(
        (
            and_(by_id.c.id.is_not(None), one_holder, by_id.c.id != holders.c.contact_id),
            holders.c.contact_id,
        ),
        else_=null(),
    )
    verified = case(
        (or_(*(when for when, _ in decisions[:2])), literal(True, Flag())),
        (decisions[2][0], conversations.c.email_verified),
        else_=literal(False, Flag()),
    )
    columns = {
        name: case(*((when, values[name_of]) for when, name_of in decisions), else_=null())
        for name, values in outcomes.items()
    }
    return (
        select(
            conversations.c.id,
            columns["contact_id"].label("contact_id"),
            rule.label("rule"),
            columns["value"].label("value"),
            verified.label("verified"),
            conflict.label("conflict"),
            reason.label("reason"),
        )
        .select_from(_joined(website, holders))
        .where(conversations.c.website_id == website, scope)
    )


def _joined(website: ColumnElement[str], holders: Any) -> Any:
    return (
        conversations.outerjoin(
            by_id,
            and_(
                by_id.c.website_id == website,
                by_id.c.crisp_people_id == conversations.c.people_id,
                by_id.c.deleted_at.is_(None),
            ),
        )
        .outerjoin(holders, holders.c.email_norm == conversations.c.email_norm)
        .outerjoin(
            pin,
            and_(
                pin.c.website_id == website,
                pin.c.conversation_id == conversations.c.id,
                pin.c.decision == "pin",
            ),
        )
        .outerjoin(
            pinned,
            and_(
                pinned.c.website_id == website,
                pinned.c.id == pin.c.contact_id,
                pinned.c.deleted_at.is_(None),
            ),
        )
        .outerjoin(id_denial, _denies(id_denial, website, by_id.c.id))
        .outerjoin(address_denial, _denies(address_denial, website, holders.c.contact_id))
    )


def _holders(website: ColumnElement[str], scope: ColumnElement[bool]) -> Any:
    """For each address in question how many live contacts have it, and one of them."""
    asked = select(conversations.c.email_norm).where(conversations.c.website_id == website, scope)
    return (
        select(
            contact_emails.c.email_norm,
            func.min(contact_emails.c.contact_id).label("contact_id"),
            func.count().label("holders"),
        )
        .join_from(
            contact_emails,
            contacts,
            and_(
                contacts.c.website_id == contact_emails.c.website_id,
                contacts.c.id == contact_emails.c.contact_id,
            ),
        )
        .where(
            contact_emails.c.website_id == website,
            contact_emails.c.email_norm.in_(asked),
            contacts.c.deleted_at.is_(None),
        )
        .group_by(contact_emails.c.email_norm)
        .subquery("holders")
    )


def _denies(
    denial: FromClause, website: ColumnElement[str], contact_id: ColumnElement[Any]
) -> ColumnElement[bool]:
    return and_(
        denial.c.website_id == website,
        denial.c.conversation_id == conversations.c.id,
        denial.c.contact_id == contact_id,
        denial.c.decision == "deny",
    )


def _was_removed(website: ColumnElement[str]) -> ColumnElement[bool]:
    """The id, or the address, belongs to a contact that was removed."""
    by_address = exists().where(
        contact_emails.c.website_id == website,
        contact_emails.c.email_norm == conversations.c.email_norm,
        removed.c.website_id == website,
        removed.c.id == contact_emails.c.contact_id,
        removed.c.deleted_at.is_not(None),
    )
    by_people_id = exists().where(
        removed.c.website_id == website,
        removed.c.crisp_people_id == conversations.c.people_id,
        removed.c.deleted_at.is_not(None),
    )
    return or_(by_people_id, by_address)
