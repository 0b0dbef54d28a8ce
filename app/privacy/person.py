"""Everything that names one person in one website: what an erasure and an export start from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.erased import Identity
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations, messages
from app.errors import NotFound
from app.imports.tables import import_rows
from app.normal import normal_address

CHUNK = 400
SHORTEST_NEEDLE = 12
"""Shorter ids would be found in any text; real ones have 36 letters."""


@dataclass(slots=True)
class Person:
    """`conversations`: our id to the session id, of those that are theirs.

    `shared` are addresses that another contact has too: they stay that contact's.
    """

    website_id: str
    contact_ids: set[str] = field(default_factory=set)
    people_ids: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    conversations: dict[str, str] = field(default_factory=dict)
    spellings: set[str] = field(default_factory=set)

    @property
    def identities(self) -> Iterator[Identity]:
        for people_id in self.people_ids:
            yield ("person", people_id)
        for session_id in self.conversations.values():
            yield ("session", session_id)
        for address in self.addresses:
            yield ("address", address)

    @property
    def needles(self) -> list[str]:
        """Texts by which somebody finds them in any text, in lower case."""
        ids = {*self.contact_ids, *self.people_ids, *self.conversations.values()}
        found = {one for one in ids if len(one) >= SHORTEST_NEEDLE}
        found |= self.addresses | {text for text in self.spellings if text}
        # Addresses of pages, as of a saved view, spell the @ otherwise.
        found |= {quote_plus(text) for text in found}
        return sorted({text.lower() for text in found})


async def find_person(connection: AsyncConnection, contact_id: str) -> Person:
    """Raises NotFound."""
    website_id = await connection.scalar(
        select(contacts.c.website_id).where(contacts.c.id == contact_id)
    )
    if website_id is None:
        raise NotFound("There is no such contact.")
    person = Person(website_id, contact_ids={contact_id})
    await _complete(connection, person, ())
    return person


async def find_by_address(connection: AsyncConnection, text: str) -> list[Person]:
    """Whoever has that address, one `Person` for each website. Raises NotFound."""
    address = normal_address(text)
    if address is None:
        raise NotFound("That is no e-mail address.")
    found: dict[str, Person] = {}
    rows = await connection.execute(
        select(contact_emails.c.website_id, contact_emails.c.contact_id).where(
            contact_emails.c.email_norm == address
        )
    )
    for row in rows:
        found.setdefault(row.website_id, Person(row.website_id)).contact_ids.add(row.contact_id)
    for table in (conversations, import_rows):
        others = await connection.execute(
            select(table.c.website_id).where(table.c.email_norm == address).distinct()
        )
        for row in others:
            found.setdefault(row.website_id, Person(row.website_id))
    if not found:
        raise NotFound("Nobody here has that address.")
    for person in found.values():
        await _complete(connection, person, (address,))
    return [found[website_id] for website_id in sorted(found)]


async def count_messages(connection: AsyncConnection, person: Person) -> int:
    """In the conversations that are theirs."""
    total = await connection.scalar(
        select(func.count()).where(
            messages.c.website_id == person.website_id,
            messages.c.conversation_id.in_(sorted(person.conversations)),
        )
    )
    return total or 0


async def _complete(connection: AsyncConnection, person: Person, addresses: Sequence[str]) -> None:
    person.contact_ids |= await _merged_with(connection, person)
    rows = await connection.execute(
        select(contacts.c.crisp_people_id, contacts.c.email).where(
            contacts.c.website_id == person.website_id,
            contacts.c.id.in_(sorted(person.contact_ids)),
        )
    )
    for row in rows:
        person.people_ids |= {row.crisp_people_id} - {None}
        person.spellings |= {(row.email or "").strip()}
    held = await _addresses(connection, person, is_theirs=True)
    person.shared = await _addresses(connection, person, is_theirs=False, among=held)
    person.shared -= set(addresses)
    person.addresses = (held | set(addresses)) - person.shared
    person.spellings = {s for s in person.spellings if normal_address(s) not in person.shared}
    await _find_conversations(connection, person)


async def _merged_with(connection: AsyncConnection, person: Person) -> set[str]:
    """Contacts that somebody said are the same person (SPEC D6)."""
    root, other = contacts.alias("root"), contacts.alias("other")
    roots = select(func.coalesce(root.c.merged_into, root.c.id)).where(
        root.c.website_id == person.website_id, root.c.id.in_(sorted(person.contact_ids))
    )
    rows = await connection.execute(
        select(other.c.id).where(
            other.c.website_id == person.website_id,
            or_(other.c.id.in_(roots), other.c.merged_into.in_(roots)),
        )
    )
    return set(rows.scalars())


async def _addresses(
    connection: AsyncConnection, person: Person, *, is_theirs: bool, among: Iterable[str] = ()
) -> set[str]:
    theirs = contact_emails.c.contact_id.in_(sorted(person.contact_ids))
    rows = await connection.execute(
        select(contact_emails.c.email_norm).where(
            contact_emails.c.website_id == person.website_id,
            theirs if is_theirs else and_(~theirs, contact_emails.c.email_norm.in_(sorted(among))),
        )
    )
    return {row.email_norm for row in rows}


async def _find_conversations(connection: AsyncConnection, person: Person) -> None:
    """Those linked to them, and those that name them and are nobody's."""
    c = conversations.c
    named = or_(
        c.people_id.in_(sorted(person.people_ids)), c.email_norm.in_(sorted(person.addresses))
    )
    theirs = or_(c.contact_id.in_(sorted(person.contact_ids)), c.contact_id.is_(None) & named)
    rows = await connection.execute(
        select(c.id, c.session_id).where(c.website_id == person.website_id, theirs)
    )
    person.conversations = {row.id: row.session_id for row in rows}
