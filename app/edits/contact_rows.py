"""A stored contact with what a form shows of it, and how its texts are read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import zone_named
from app.companies.by_hand import memberships_of
from app.contacts.addresses import MERGED
from app.contacts.attributes import known_attributes
from app.contacts.mapping import effective, map_fields
from app.contacts.tables import contact_emails, contacts
from app.edits.companies import Taken
from app.edits.contact_form import ATTRIBUTE, FIELDS, Subject, Ways, at, own_addresses
from app.edits.merges import require_row
from app.normal import normal_address
from app.sources import WITHOUT_CRISPS_ADDRESS
from app.websites.rules import require_website


async def ways_of(connection: AsyncConnection, website_id: str) -> Ways:
    website = await require_website(connection, website_id)
    return Ways(zone_named(website.time_zone), await known_attributes(connection, website_id))


async def load_subject(connection: AsyncConnection, website_id: str, contact_id: str) -> Subject:
    """Raises NotFound."""
    row = await require_row(connection, website_id, "contact", contact_id)
    website = await require_website(connection, website_id)
    e = contact_emails.c
    found = await connection.execute(
        select(e.email_norm, e.source)
        .where(e.website_id == website_id, e.contact_id == contact_id)
        .order_by(e.email_norm)
    )
    addresses = found.all()
    crisp = row.crisp_fields
    return Subject(
        row,
        own_addresses(addresses, row.email),
        frozenset(one.email_norm for one in addresses if one.source == MERGED),
        await memberships_of(connection, website_id, contact_id),
        map_fields(effective(website.mapping), crisp, crisp),
        normal_address(crisp.get("email")),
    )


def nobody(contact_id: str) -> Subject:
    """What a new contact is made from: it has no `website_id` yet."""
    columns = [target for target in FIELDS.values() if not target.startswith(ATTRIBUTE)]
    row: Any = SimpleNamespace(
        **dict.fromkeys(columns), id=contact_id, email=None, attributes={}, segments=[],
        segment_sources={}, field_sources={}, owner_id=None, crisp_people_id=None,
    )  # fmt: skip
    return Subject(row, [], frozenset(), [], {}, None)


def follows(subject: Subject) -> dict[str, Any]:
    """What somebody else than Crisp wrote and Crisp says otherwise: field to Crisp's word."""
    row, sources = subject.row, subject.row.field_sources
    found = {
        field: subject.crisp.get(target)
        for field, target in FIELDS.items()
        if _differs(subject, target)
    }
    found |= {
        target: subject.crisp.get(target)
        for target in sources
        if target.startswith("attributes.")
        and target not in FIELDS.values()
        and target != "attributes.company_name"
        and _differs(subject, target)
    }
    if subject.crisp_address and (
        WITHOUT_CRISPS_ADDRESS in sources or normal_address(row.email) != subject.crisp_address
    ):
        found["emails"] = subject.crisp["email"]
    return found


def _differs(subject: Subject, target: str) -> bool:
    row = subject.row
    if row.crisp_people_id is None or target not in row.field_sources:
        return False
    return bool(target in subject.crisp and subject.crisp[target] != at(row, target))


async def refuse_taken(
    connection: AsyncConnection, website_id: str, norms: set[str], contact_id: str | None
) -> None:
    """Raises Taken where another live contact has one of these addresses (SPEC M4: nobody guesses)."""
    e = contact_emails.c
    holder = (
        await connection.execute(
            select(contacts.c.id, contacts.c.name, e.email_norm)
            .join_from(
                contact_emails,
                contacts,
                (contacts.c.website_id == e.website_id) & (contacts.c.id == e.contact_id),
            )
            .where(
                e.website_id == website_id,
                e.email_norm.in_(sorted(norms)),
                contacts.c.deleted_at.is_(None),
                contacts.c.id != (contact_id or ""),
            )
            .order_by(e.email_norm, contacts.c.id)
            .limit(1)
        )
    ).one_or_none()
    if holder is not None:
        raise Taken(
            f"{holder.email_norm} is an address of {holder.name or 'another contact'} already: "
            "open that contact, or merge the two.",
            "contact",
            holder.id,
        )
