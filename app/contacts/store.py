"""Writing what Crisp says of people. Only values that Crisp changed are written (SPEC D5, D7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.addresses import keep_addresses
from app.contacts.mapping import COLUMNS, apply, company_of, effective, map_fields, with_computed
from app.contacts.segments import replace_own
from app.contacts.tables import contact_emails, contacts
from app.db.base import StoredRow, new_id
from app.db.upsert import Row, met_again, update_rows, upsert
from app.records import (
    CompanyRef,
    ContactRecord,
    Fields,
    Version,
    fold_for_search,
    normal_address,
)

_KEY = ("website_id", "id")


@dataclass(frozen=True, slots=True)
class Belonging:
    """The company that a contact's profile names now; `at` is Crisp's time of the profile."""

    contact_id: str
    company: CompanyRef | None
    at: datetime
    since: datetime


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
) -> ContactChanges:
    """Insert or update; rows that say nothing new are only marked as seen."""
    if not records:
        return ContactChanges()
    newest = _newest(records)
    known = await _find_known(connection, website_id, newest)
    mapping = effective(overrides)
    changes = ContactChanges()
    fresh: list[Row] = []
    changed: list[Row] = []
    met: list[Row] = []
    for record in newest.values():
        row = known.get(record.people_id)
        if row is not None and not _is_news(row, record.version):
            met.append(met_again(row, record.version, confirmed=False))
            continue
        merged = _merge(website_id, mapping, row, record)
        if row is not None and _same(row, merged):
            met.append(met_again(row, record.version, confirmed=True))
            continue
        (fresh if row is None else changed).append(merged)
        _note_changes(changes, row, merged)
    await upsert(connection, contacts, _ordered(fresh), key=_KEY, update=())
    await update_rows(connection, contacts, _ordered(changed), key=_KEY)
    await update_rows(connection, contacts, _ordered(met), key=_KEY)
    changes.addresses |= await keep_addresses(connection, website_id, fresh + changed)
    return changes


def _ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["id"]))


def _newest(records: Iterable[ContactRecord]) -> dict[str, ContactRecord]:
    best: dict[str, ContactRecord] = {}
    for record in records:
        other = best.get(record.people_id)
        if other is None or _order(record.version) >= _order(other.version):
            best[record.people_id] = record
    return dict(sorted(best.items()))


def _order(version: Version) -> tuple[int, int]:
    return version.crisp_ms, version.observed_ms


async def _find_known(
    connection: AsyncConnection, website_id: str, newest: Mapping[str, ContactRecord]
) -> dict[str, StoredRow]:
    """The stored contacts by people id, including those that a new profile adopts (SPEC M4)."""
    rows = await connection.execute(
        select(contacts).where(
            contacts.c.website_id == website_id, contacts.c.crisp_people_id.in_(list(newest))
        )
    )
    known: dict[str, StoredRow] = {row.crisp_people_id: row for row in rows}
    wanted: dict[str, str] = {}
    for people_id, record in newest.items():
        address = normal_address(record.fields.get("email"))
        if people_id not in known and address:
            wanted.setdefault(address, people_id)
    adoptable = await _find_adoptable(connection, website_id, list(wanted))
    return known | {wanted[address]: row for address, row in adoptable.items()}


async def _find_adoptable(
    connection: AsyncConnection, website_id: str, addresses: Sequence[str]
) -> dict[str, StoredRow]:
    """Address to the only live contact that has it and has no Crisp id."""
    if not addresses:
        return {}
    only = (
        select(contact_emails.c.email_norm, func.min(contacts.c.id).label("only_id"))
        .join_from(contact_emails, contacts, _same_contact())
        .where(
            contact_emails.c.website_id == website_id,
            contact_emails.c.email_norm.in_(addresses),
            contacts.c.crisp_people_id.is_(None),
            contacts.c.deleted_at.is_(None),
        )
        .group_by(contact_emails.c.email_norm)
        .having(func.count() == 1)
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


def _is_news(row: StoredRow, version: Version) -> bool:
    """Newer than what is stored, and able to revive the row if Crisp had removed it (SPEC D4)."""
    if row.removed_observed_ms is not None:
        return version.direct and version.observed_ms > row.removed_observed_ms
    return _order(version) > (row.version_ms, row.observed_ms)


def _merge(
    website_id: str, mapping: Mapping[str, str], row: StoredRow | None, record: ContactRecord
) -> Row:
    before: Fields = row.crisp_fields if row is not None else {}
    fields = with_computed({**before, **record.fields, **_custom(before, record.custom_data)})
    # What Crisp never filled is no change of Crisp's when it is told as empty (SPEC D7).
    changed = [p for p in fields if before.get(p) != fields[p]]
    columns: Fields = {name: getattr(row, name, None) for name in COLUMNS}
    attributes: Fields = dict(row.attributes) if row is not None else {}
    apply(map_fields(mapping, fields, changed), columns, attributes)
    sources = row.segment_sources if row is not None else {}
    if record.segments is not None:
        sources = replace_own(sources, "crisp", record.segments)
    moment = clock.now()
    hidden_by_person = row is not None and row.removed_observed_ms is None
    return {
        "website_id": website_id,
        "id": row.id if row is not None else new_id(),
        "crisp_people_id": record.people_id,
        **columns,
        "attributes": attributes,
        "segments": sorted(sources),
        "segment_sources": sources,
        "source": row.source if row is not None else "crisp",
        "deleted_at": row.deleted_at if row is not None and hidden_by_person else None,
        "created_at": row.created_at if row is not None else moment,
        "updated_at": moment,
        "search": fold_for_search(
            columns["name"], columns["email"], columns["phone"], attributes.get("company_name")
        ),
        "crisp_fields": fields,
        "crisp_raw": {**(row.crisp_raw or {}), **record.raw} if row is not None else record.raw,
        "version_ms": record.version.crisp_ms,
        "observed_ms": record.version.observed_ms,
        "seen_ms": record.version.observed_ms,
        "removed_observed_ms": None,
    }


def _custom(before: Fields, custom_data: Fields | None) -> Fields:
    """Contact data is told completely: what is missing from it was removed (SPEC D5)."""
    if custom_data is None:
        return {}
    gone: Fields = {path: None for path in before if path.startswith("data.")}
    return gone | {f"data.{key}": value for key, value in custom_data.items()}


_COMPARED = (*COLUMNS, "attributes", "segment_sources", "crisp_fields", "crisp_raw", "version_ms")


def _same(row: StoredRow, merged: Row) -> bool:
    if row.crisp_people_id is None or row.removed_observed_ms is not None:
        return False
    return all(getattr(row, name) == merged[name] for name in _COMPARED)


def _note_changes(changes: ContactChanges, row: StoredRow | None, merged: Row) -> None:
    changes.contact_ids.add(merged["id"])
    changes.people_ids.add(merged["crisp_people_id"])
    company = company_of(merged["crisp_fields"])
    if row is not None and row.removed_observed_ms is None:
        if company_of(row.crisp_fields) == company and row.crisp_people_id is not None:
            return
    elif company is None:
        return
    at = clock.from_ms(merged["version_ms"]) or merged["updated_at"]
    since = merged["signed_up_at"] or at
    changes.belongings.append(Belonging(merged["id"], company, at, since))


async def bury_contacts(
    connection: AsyncConnection, website_id: str, people_ids: Sequence[str], observed_ms: int
) -> set[str]:
    """Mark as removed in Crisp, as observed then; ids of those that were live until now."""
    rows = await connection.execute(
        update(contacts)
        .where(
            contacts.c.website_id == website_id,
            contacts.c.crisp_people_id.in_(people_ids),
            contacts.c.deleted_at.is_(None),
            contacts.c.observed_ms <= observed_ms,
        )
        .values(deleted_at=clock.now(), removed_observed_ms=observed_ms)
        .returning(contacts.c.id)
    )
    return {row.id for row in rows}
