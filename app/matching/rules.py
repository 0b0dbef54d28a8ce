"""The rules M1 to M7 as one SELECT: for each conversation its contact and why, or why it has none.

One statement for any number of conversations, the same on both databases.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
    true,
)

from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import link_decisions
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
# The contacts that a person merged those two into (SPEC D6).
id_survivor = contacts.alias("id_survivor")
pinned_survivor = contacts.alias("pinned_survivor")
denied = contacts.alias("denied")
removed = contacts.alias("removed")
pin = link_decisions.alias("pin")
id_denial = link_decisions.alias("id_denial")
address_denial = link_decisions.alias("address_denial")


class Decision(NamedTuple):
    """One rule: when it decides, and what it then says. The first one that holds is taken."""

    rule: str
    when: ColumnElement[bool]
    contact_id: ColumnElement[Any]
    value: ColumnElement[Any]
    verified: ColumnElement[Any]


MATCHED_BY = ("id", "people_id", "email_norm", "email_verified")
"""What the rules look at of a conversation."""
LINK = (
    "contact_id",
    "match_rule",
    "match_value",
    "match_verified",
    "conflicting_contact_id",
    "unmatched_reason",
)
"""What they say of it, by the columns of `conversations`."""


def matches(
    talks: FromClause, website: ColumnElement[str], scope: ColumnElement[bool], *, whole: bool
) -> Select[Any]:
    """Columns id and LINK, of the conversations in `scope`.

    `talks`: where they stand, with the columns MATCHED_BY.
    """
    holders = _holders(talks, website, scope, whole=whole)
    decisions = _decisions(talks, holders)
    return (
        select(
            talks.c.id,
            _first(decisions, "contact_id").label("contact_id"),
            case(*((d.when, literal(d.rule)) for d in decisions), else_=null()).label("match_rule"),
            _first(decisions, "value").label("match_value"),
            _first(decisions, "verified", literal(False, Flag())).label("match_verified"),
            _conflict(holders).label("conflicting_contact_id"),
            _reason(talks, website, holders, decisions).label("unmatched_reason"),
        )
        .select_from(_joined(talks, website, holders))
        .where(scope)
    )


def _decisions(talks: FromClause, holders: Any) -> list[Decision]:
    id_counts = and_(_by_id.is_not(None), id_denial.c.contact_id.is_(None))
    address_counts = and_(holders.c.holders == 1, address_denial.c.contact_id.is_(None))
    crisp, typed = talks.c.people_id, talks.c.email_norm
    yes = literal(True, Flag())
    return [
        Decision("manual", _pinned.is_not(None), _pinned, pin.c.decided_by, yes),
        Decision("people_id", id_counts, _by_id, crisp, yes),
        Decision(
            "email",
            address_counts,
            holders.c.contact_id,
            typed,
            talks.c.email_verified,
        ),
    ]


def _first(decisions: list[Decision], name: str, otherwise: Any = None) -> ColumnElement[Any]:
    return case(
        *((decision.when, getattr(decision, name)) for decision in decisions),
        else_=null() if otherwise is None else otherwise,
    )


def _conflict(holders: Any) -> ColumnElement[Any]:
    """The contact that the address points to when the people id points to another (SPEC M2)."""
    differs = and_(_by_id.is_not(None), holders.c.holders == 1, _by_id != holders.c.contact_id)
    return case((differs, holders.c.contact_id), else_=null())


def _reason(
    talks: FromClause, website: ColumnElement[str], holders: Any, decisions: list[Decision]
) -> ColumnElement[Any]:
    somebody = or_(_by_id.is_not(None), holders.c.holders == 1)
    return case(
        (or_(*(decision.when for decision in decisions)), null()),
        # A contact was found and yet does not count: a person said so.
        (somebody, literal("denied")),
        (holders.c.holders > 1, literal("ambiguous_email")),
        (_was_removed(talks, website), literal("contact_removed")),
        (talks.c.people_id.is_not(None), literal("unknown_person")),
        (talks.c.email_norm.is_not(None), literal("unknown_email")),
        else_=literal("no_identity"),
    )


def _joined(talks: FromClause, website: ColumnElement[str], holders: Any) -> Any:
    return (
        talks.outerjoin(
            by_id,
            and_(
                by_id.c.website_id == website,
                by_id.c.crisp_people_id == talks.c.people_id,
            ),
        )
        .outerjoin(id_survivor, _survives(id_survivor, website, by_id))
        .outerjoin(holders, holders.c.email_norm == talks.c.email_norm)
        .outerjoin(
            pin,
            and_(
                pin.c.website_id == website,
                pin.c.conversation_id == talks.c.id,
                pin.c.decision == "pin",
            ),
        )
        .outerjoin(
            pinned,
            and_(
                pinned.c.website_id == website,
                pinned.c.id == pin.c.contact_id,
            ),
        )
        .outerjoin(pinned_survivor, _survives(pinned_survivor, website, pinned))
        .outerjoin(id_denial, _denies(id_denial, talks, website, _by_id))
        .outerjoin(address_denial, _denies(address_denial, talks, website, holders.c.contact_id))
    )


def _holders(
    talks: FromClause, website: ColumnElement[str], scope: ColumnElement[bool], *, whole: bool
) -> Any:
    """For each address in question how many live contacts have it, and one of them."""
    asked = select(talks.c.email_norm).where(scope)
    # For all conversations at once, reading the addresses of all contacts costs less than choosing.
    in_question = true() if whole else contact_emails.c.email_norm.in_(asked)
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
            in_question,
            contacts.c.deleted_at.is_(None),
        )
        .group_by(contact_emails.c.email_norm)
        .subquery("holders")
    )


def _survives(
    survivor: FromClause, website: ColumnElement[str], merged: FromClause
) -> ColumnElement[bool]:
    return and_(
        survivor.c.website_id == website,
        survivor.c.id == merged.c.merged_into,
        survivor.c.deleted_at.is_(None),
    )


def _live(contact: FromClause, survivor: FromClause) -> ColumnElement[Any]:
    """The contact's id, or that of the one it was merged into; NULL where that one is hidden."""
    return func.coalesce(survivor.c.id, case((contact.c.deleted_at.is_(None), contact.c.id)))


_by_id = _live(by_id, id_survivor)
_pinned = _live(pinned, pinned_survivor)


def _denies(
    denial: FromClause,
    talks: FromClause,
    website: ColumnElement[str],
    contact_id: ColumnElement[Any],
) -> ColumnElement[bool]:
    """A person's word about the contact, or about one that was merged into it."""
    merged = exists().where(
        denied.c.website_id == website,
        denied.c.id == denial.c.contact_id,
        denied.c.merged_into == contact_id,
    )
    return and_(
        denial.c.website_id == website,
        denial.c.conversation_id == talks.c.id,
        denial.c.decision == "deny",
        or_(denial.c.contact_id == contact_id, merged),
    )


def _was_removed(talks: FromClause, website: ColumnElement[str]) -> ColumnElement[bool]:
    """The id, or the address, belongs to a contact that was removed."""
    by_address = exists().where(
        contact_emails.c.website_id == website,
        contact_emails.c.email_norm == talks.c.email_norm,
        removed.c.website_id == website,
        removed.c.id == contact_emails.c.contact_id,
        removed.c.deleted_at.is_not(None),
    )
    by_people_id = exists().where(
        removed.c.website_id == website,
        removed.c.crisp_people_id == talks.c.people_id,
        removed.c.deleted_at.is_not(None),
    )
    return or_(by_people_id, by_address)
