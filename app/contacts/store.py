"""Writing what Crisp says of people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.addresses import MERGED, copy_addresses, keep_addresses
from app.contacts.mapping import company_of, effective
from app.contacts.merge import merge_contact, says_nothing_new
from app.contacts.tables import contact_emails, contacts
from app.db.base import AnySelect, StoredRow
from app.db.in_turn import Query
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows, upsert
from app.normal import normal_address
from app.records import CompanyRef, ContactRecord

_KEY = ("website_id", "id")


@dataclass(frozen=True, slots=True)
class Belonging:
    """The company that a contact's profile names now; `at` is Crisp's time of the profile.

    `lands_on`: the contact that a person merged it into, where one did.
    """

    contact_id: str
    company: CompanyRef | None
    at: datetime
    since: datetime
    lands_on: str | None = None


@dataclass(slots=True)
class ContactChanges:
    """What matching has to look at again."""

    contact_ids: set[str] = field(default_factory=set)
    people_ids: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    belongings: list[Belonging] = field(default_factory=list)


async def write_contacts(
    connection: AsyncConnection,
    website_id: str,
    overrides: Mapping[str, str | None],
    records: Sequence[ContactRecord],
    stored: Sequence[StoredRow],
) -> ContactChanges:
    """Insert or update; rows that say nothing new are only marked as seen.

    `stored`: what `asking_people` found of them.
    """
    if not records:
        return ContactChanges()
    told = _by_person(records)
    known = await _with_adopted(connection, website_id, told, stored)
    mapping = effective(overrides)
    changes = ContactChanges()
    fresh: list[Row] = []
    changed: list[Row] = []
    met: list[Row] = []
    for people_id, news in told.items():
        row = known.get(people_id)
        merged = merge_contact(website_id, mapping, row, news)
        if row is not None and says_nothing_new(row, merged):
            met.append({name: merged[name] for name in _MET})
            continue
        (fresh if row is None else changed).append(merged)
        _note_changes(changes, row, merged)
    await upsert(connection, contacts, _ordered(fresh), key=_KEY, update=())
    await update_rows(connection, contacts, _ordered(changed), key=_KEY)
    await update_rows(connection, contacts, _ordered(met), key=_KEY)
    changes.addresses |= await keep_addresses(connection, website_id, fresh + changed)
    if changed:
        await copy_addresses(connection, website_id, changes.contact_ids)
    return changes


_MET = ("website_id", "id", "seen_ms", "observed_ms")


def _ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["id"]))


def _by_person(records: Iterable[ContactRecord]) -> dict[str, list[ContactRecord]]:
    told: dict[str, list[ContactRecord]] = {}
    for record in records:
        told.setdefault(record.people_id, []).append(record)
    return dict(sorted(told.items()))


def asking_people(website_id: str, records: Iterable[ContactRecord]) -> Query:
    """The stored contacts with these people ids."""
    people = sorted({record.people_id for record in records})
    return Query(_people(), {"website": website_id, "people": people})


@cache
def _people() -> AnySelect:
    return select(contacts).where(
        contacts.c.website_id == bindparam("website"),
        is_one_of(contacts.c.crisp_people_id, "people"),
    )


async def _with_adopted(
    connection: AsyncConnection,
    website_id: str,
    told: Mapping[str, Sequence[ContactRecord]],
    stored: Sequence[StoredRow],
) -> dict[str, StoredRow]:
    """The stored contacts by people id, with those that a new profile adopts (SPEC M4)."""
    known: dict[str, StoredRow] = {row.crisp_people_id: row for row in stored}
    wanted: dict[str, str] = {}
    for people_id, news in told.items():
        if people_id in known:
            continue
        newest = max(news, key=lambda record: record.version.rank)
        address = normal_address(newest.fields.get("email"))
        if address:
            wanted.setdefault(address, people_id)
    adoptable = await _find_adoptable(connection, website_id, list(wanted))
    return known | {wanted[address]: row for address, row in adoptable.items()}


async def _find_adoptable(
    connection: AsyncConnection, website_id: str, addresses: Sequence[str]
) -> dict[str, StoredRow]:
    """Address to the only live contact that has it and has no Crisp id, merged or not."""
    if not addresses:
        return {}
    root = func.coalesce(contacts.c.merged_into, contacts.c.id)
    member = contacts.alias("member")
    only = (
        select(contact_emails.c.email_norm, func.min(contacts.c.id).label("only_id"))
        .join_from(contact_emails, contacts, _same_contact())
        .where(
            contact_emails.c.website_id == website_id,
            is_one_of(contact_emails.c.email_norm, addresses),
            contact_emails.c.source != MERGED,
            contacts.c.crisp_people_id.is_(None),
            contacts.c.hidden_at.is_(None),
            # One that stands for a person of Crisp already would stand for two.
            ~exists().where(
                member.c.website_id == website_id,
                or_(member.c.merged_into == root, member.c.id == root),
                member.c.crisp_people_id.is_not(None),
            ),
        )
        .group_by(contact_emails.c.email_norm)
        .having(func.count(root.distinct()) == 1)
        .subquery()
    )
    rows = await connection.execute(
        select(only.c.email_norm, contacts).where(
            contacts.c.website_id == website_id, contacts.c.id == only.c.only_id
        )
    )
    # One contact may hold several of the addresses: the first profile gets it.
    taken: dict[str, StoredRow] = {}
    for row in sorted(rows, key=lambda found: str(found.email_norm)):
        if all(row.id != other.id for other in taken.values()):
            taken[row.email_norm] = row
    return taken


def _same_contact() -> Any:
    return (contact_emails.c.website_id == contacts.c.website_id) & (
        contact_emails.c.contact_id == contacts.c.id
    )


def _note_changes(changes: ContactChanges, row: StoredRow | None, merged: Row) -> None:
    changes.contact_ids.add(merged["id"])
    if row is not None and row.merged_into is not None:
        changes.contact_ids.add(row.merged_into)
    changes.people_ids.add(merged["crisp_people_id"])
    company = company_of(merged["crisp_fields"])
    if row is not None and row.removed_observed_ms is None:
        if company_of(row.crisp_fields) == company and row.crisp_people_id is not None:
            return
    elif company is None:
        return
    at = clock.from_ms(merged["version_ms"]) or merged["updated_at"]
    since = merged["signed_up_at"] or at
    lands_on = row.merged_into if row is not None else None
    changes.belongings.append(Belonging(merged["id"], company, at, since, lands_on))
