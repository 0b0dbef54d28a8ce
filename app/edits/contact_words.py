"""What somebody says of a contact, in texts, as the edit that is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.contacts.attributes import Attribute, define_attributes
from app.contacts.segments import chosen_by_hand
from app.edits.authors import author, told_by
from app.edits.contact_form import (
    ATTRIBUTE,
    FIELDS,
    Subject,
    Ways,
    new_key,
    read_emails,
    read_field,
    read_segments,
)
from app.edits.contact_rows import refuse_taken
from app.edits.memberships import Joining, changed_memberships, main_after
from app.edits.team import require_owner
from app.edits.three_way import Invalid
from app.normal import normal_address
from app.records import ContactEdit, Fields
from app.sources import WITHOUT_CRISPS_ADDRESS


@dataclass(frozen=True, slots=True)
class Told:
    """Changed texts by field, companies that it joins, and by field the values that Crisp has."""

    texts: Mapping[str, str]
    joins: Sequence[Joining] = ()
    crisp: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addresses:
    """`main` as it is written, None for none; `added` likewise, `lost` in normal form."""

    main: str | None
    added: tuple[str, ...]
    lost: tuple[str, ...]


async def edit_of(
    connection: AsyncConnection,
    website_id: str,
    subject: Subject,
    told: Told,
    ways: Ways,
    actor: Actor,
) -> ContactEdit:
    """Raises Invalid with all that is wrong, Taken. Companies that nobody knows yet are made."""
    fields = _fields(subject, told, ways)
    addresses = _addresses(subject, told)
    if addresses is not None:
        norms = {normal_address(one) or "" for one in addresses.added}
        await refuse_taken(connection, website_id, norms, subject.row.id)
    owner = None
    if "owner" in told.texts:
        owner = await require_owner(connection, website_id, told.texts["owner"])
    members = await changed_memberships(
        connection, website_id, subject, told.texts, told.joins, ways, actor
    )
    main = main_after(subject, told.texts, members)
    if main is not None:
        fields[f"{ATTRIBUTE}company_name"] = main or None
    await _define(connection, website_id, subject, fields, ways, actor)
    sources = told_by(actor, [*fields, *(["owner"] if owner else [])])
    sources |= {FIELDS.get(name, name): None for name in told.crisp if name != "emails"}
    made = not hasattr(subject.row, "website_id")
    if addresses is not None:
        sources |= _address_sources(subject, addresses, "emails" in told.crisp, actor)
        if not made and addresses.main != subject.row.email:
            fields["email"] = addresses.main
    segments = _segments(subject, told)
    return ContactEdit(
        contact_id=subject.row.id,
        fields=fields,
        sources=sources,
        made_by=author(actor) if made else None,
        email=addresses.main if made and addresses is not None else None,
        segment_sources={} if made and segments is None else segments,
        source=author(actor),
        added_addresses=addresses.added if addresses is not None else (),
        lost_addresses=addresses.lost if addresses is not None else (),
        owner=owner,
        dropped=members.dropped,
        memberships=members.edits,
    )


def _fields(subject: Subject, told: Told, ways: Ways) -> Fields:
    """Column or attribute to value. Raises Invalid."""
    fields: Fields = {FIELDS.get(n, n): v for n, v in told.crisp.items() if n != "emails"}
    wrong: dict[str, str] = {}
    for name, text in told.texts.items():
        if name not in FIELDS and not name.startswith(ATTRIBUTE):
            continue
        try:
            target = FIELDS.get(name) or _attribute(subject, name, ways)
            before = subject.row.attributes.get(target.removeprefix(ATTRIBUTE))
            fields[target] = read_field(name, text, before, ways)
        except Invalid as invalid:
            wrong |= invalid.wrong
    for name, read in (("emails", read_emails), ("segments", read_segments)):
        try:
            read(told.texts.get(name, ""))
        except Invalid as invalid:
            wrong |= invalid.wrong
    if wrong:
        raise Invalid(wrong)
    return fields


def _attribute(subject: Subject, name: str, ways: Ways) -> str:
    """One that is there keeps its key, whatever Crisp put into it; a new one needs a good one."""
    key = name.removeprefix(ATTRIBUTE)
    if key in subject.row.attributes or key in ways.defined:
        return name
    return f"{ATTRIBUTE}{new_key(key)}"


async def _define(
    connection: AsyncConnection,
    website_id: str,
    subject: Subject,
    fields: Fields,
    ways: Ways,
    actor: Actor,
) -> None:
    """A new attribute is one of the whole website from now on (SPEC I3)."""
    known = {*subject.row.attributes, *ways.defined, "company_name"}
    known |= {target.removeprefix(ATTRIBUTE) for target in FIELDS.values()}
    keys = {t.removeprefix(ATTRIBUTE) for t in fields if t.startswith(ATTRIBUTE)} - known
    new = [Attribute(key, "text") for key in sorted(keys)]
    await define_attributes(connection, website_id, new, actor.name)


def _addresses(subject: Subject, told: Told) -> Addresses | None:
    """None when nothing is said of them."""
    if "emails" in told.crisp:
        others = [one for one in subject.addresses if normal_address(one) != subject.crisp_address]
        wanted = [told.crisp["emails"], *others]
    elif "emails" in told.texts:
        wanted = read_emails(told.texts["emails"])
    else:
        return None
    before = {normal_address(one) for one in subject.addresses}
    norms = {normal_address(one) for one in wanted}
    return Addresses(
        wanted[0] if wanted else None,
        tuple(one for one in wanted if normal_address(one) not in before),
        tuple(sorted(norm for norm in before - norms if norm)),
    )


def _address_sources(
    subject: Subject, addresses: Addresses, as_in_crisp: bool, actor: Actor
) -> dict[str, Any]:
    """Who wrote the main one, and whether a person says that Crisp's is none of this contact's."""
    sources: dict[str, Any] = {}
    if addresses.main != subject.row.email:
        sources["email"] = None if as_in_crisp else told_by(actor, ["email"])["email"]
    if subject.crisp_address is None:
        return sources
    if subject.crisp_address in addresses.lost:
        sources |= told_by(actor, [WITHOUT_CRISPS_ADDRESS])
    elif subject.crisp_address in {normal_address(one) for one in addresses.added}:
        sources[WITHOUT_CRISPS_ADDRESS] = None
    return sources


def _segments(subject: Subject, told: Told) -> dict[str, list[str]] | None:
    if "segments" not in told.texts:
        return None
    return chosen_by_hand(subject.row.segment_sources, read_segments(told.texts["segments"]))
