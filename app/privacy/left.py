"""What a restored database still has of people of whom only hashes are known: its ids and addresses, hashed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.erased import Hasher, Identity, Kind, identities_in, without
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations
from app.db.changes import note_changes
from app.db.upsert import Row, update_rows
from app.imports.tables import import_rows
from app.normal import fold_for_search
from app.privacy.person import Person

AT_ONCE = 50
"""Ids and addresses of one statement that looks for mentions."""
_c = contacts.c
_e = contact_emails.c
_v = conversations.c


def _hashed(hasher: Hasher, kind: Kind, value: str | None, wanted: frozenset[str]) -> bool:
    return value is not None and hasher((kind, value)) in wanted


async def find_contacts(
    connection: AsyncConnection, hasher: Hasher, wanted: frozenset[str]
) -> list[str]:
    """Contacts that are theirs: by their Crisp id, and without one by an address.

    Whoever has another Crisp id and one of these addresses is somebody else who has it too.
    """
    rows = await connection.execute(
        select(_c.id, _c.crisp_people_id, _e.email_norm)
        .outerjoin(contact_emails, (_e.website_id == _c.website_id) & (_e.contact_id == _c.id))
        .where(_c.website_id == hasher.website_id)
    )
    return sorted(
        {
            row.id
            for row in rows
            if _hashed(hasher, "person", row.crisp_people_id, wanted)
            or (row.crisp_people_id is None and _hashed(hasher, "address", row.email_norm, wanted))
        }
    )


async def take_addresses(
    connection: AsyncConnection, hasher: Hasher, wanted: frozenset[str]
) -> None:
    """From the contacts that are left: they stay and lose the erased address, as with news of Crisp."""
    rows = await connection.execute(
        select(_e.contact_id, _e.email_norm).where(_e.website_id == hasher.website_id)
    )
    lost = [row for row in rows if _hashed(hasher, "address", row.email_norm, wanted)]
    if not lost:
        return
    erased: set[Identity] = {("address", row.email_norm) for row in lost}
    ids = sorted({row.contact_id for row in lost})
    await connection.execute(
        contact_emails.delete().where(
            _e.website_id == hasher.website_id,
            _e.email_norm.in_(sorted(address for _, address in erased)),
        )
    )
    note_changes(connection, "contact", hasher.website_id, ids)
    found = await connection.execute(
        select(contacts).where(_c.website_id == hasher.website_id, _c.id.in_(ids))
    )
    changed = [_without(row, erased) for row in found]
    await update_rows(connection, contacts, changed, key=("website_id", "id"))


def _without(row: Any, erased: set[Identity]) -> Row:
    email = without(row.email, erased)
    return {
        "website_id": row.website_id,
        "id": row.id,
        "email": email,
        "crisp_fields": without(row.crisp_fields, erased),
        "crisp_raw": without(row.crisp_raw, erased),
        "attributes": without(row.attributes, erased),
        "search": fold_for_search(row.name, email, row.phone, row.attributes.get("company_name")),
    }


async def find_rest(
    connection: AsyncConnection, hasher: Hasher, wanted: frozenset[str]
) -> list[Person]:
    """What names them without being a contact of theirs, in portions, each as a `Person` to be erased."""
    sessions, people, addresses = await _named(connection, hasher, wanted)
    found = []
    named = sorted(people | addresses | set(sessions))
    for start in range(0, len(named), AT_ONCE):
        portion = set(named[start : start + AT_ONCE])
        person = Person(hasher.website_id)
        person.people_ids = people & portion
        person.addresses = addresses & portion
        person.conversations = {sessions[one]: one for one in portion & sessions.keys()}
        await _add_nobodys(connection, person)
        found.append(person)
    return found


async def _named(
    connection: AsyncConnection, hasher: Hasher, wanted: frozenset[str]
) -> tuple[dict[str, str], set[str], set[str]]:
    """Session ids with our id of them, people ids and addresses that are on the list."""
    sessions: dict[str, str] = {}
    people: set[str] = set()
    addresses: set[str] = set()
    query = select(_v.id, _v.session_id, _v.people_id, _v.email_norm, _v.metadata, _v.raw).where(
        _v.website_id == hasher.website_id
    )
    # A server cursor: the raw conversations of a large website do not fit into memory.
    async for row in await connection.stream(query.execution_options(yield_per=500)):
        if _hashed(hasher, "session", row.session_id, wanted):
            sessions[row.session_id] = row.id
        if _hashed(hasher, "person", row.people_id, wanted):
            people.add(row.people_id)
        candidates = {row.email_norm, *_addresses_in([row.metadata, row.raw])}
        addresses |= {one for one in candidates if _hashed(hasher, "address", one, wanted)}
    rows = await connection.execute(
        select(import_rows.c.email_norm)
        .where(import_rows.c.website_id == hasher.website_id)
        .distinct()
    )
    addresses |= {one for one in rows.scalars() if _hashed(hasher, "address", one, wanted)}
    return sessions, people, addresses


def _addresses_in(value: Any) -> Iterator[str]:
    return (text for kind, text in identities_in(value) if kind == "address")


async def _add_nobodys(connection: AsyncConnection, person: Person) -> None:
    """Conversations that name them and are linked to nobody, as an erasure finds them."""
    named: Sequence[Any] = (
        _v.people_id.in_(sorted(person.people_ids)),
        _v.email_norm.in_(sorted(person.addresses)),
    )
    rows = await connection.execute(
        select(_v.id, _v.session_id).where(
            _v.website_id == person.website_id, _v.contact_id.is_(None), or_(*named)
        )
    )
    person.conversations |= {row.id: row.session_id for row in rows}
