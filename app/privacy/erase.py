"""Erasing a person (SPEC P6): onto the list first, then every row, in one transaction.

What cannot be in it, raw hooks, uploads, what the database keeps of deleted rows, is swept afterwards by
app/privacy/sweep.py, at once or by the next worker that looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.accounts.tables import audit_log
from app.companies.tables import contact_companies
from app.contacts.edited import delete_contacts, forget_addresses
from app.contacts.erased import list_erased, make_hasher
from app.conversations.removals import delete_conversations
from app.conversations.tables import conversations, link_decisions
from app.db.changes import note_changes
from app.db.session import Database
from app.matching.link import relink, touched_conversations
from app.privacy.mentions import forget_mentions
from app.privacy.outside import keep_people
from app.privacy.person import Person, count_messages, find_by_address, find_person
from app.privacy.uploads import forget_import_rows, refuse_during_import
from app.websites.rules import lock_website


@dataclass(frozen=True, slots=True)
class Erasure:
    """How many rows went; `shared_addresses` stay, since another contact has them too."""

    website_id: str
    contacts: int
    conversations: int
    messages: int
    shared_addresses: int


async def erase_contact(db: Database, actor: Actor, contact_id: str) -> Erasure:
    """Raises NotFound, Forbidden, Conflict while an import is at work on them, NotKept."""
    actor.require(Role.ADMIN)

    async def work(connection: AsyncConnection) -> Erasure:
        person = await find_person(connection, contact_id)
        await lock_website(connection, person.website_id)
        # Again, now that nobody else writes.
        return await erase_person(connection, actor, await find_person(connection, contact_id))

    return await db.transact(work)


async def erase_address(db: Database, actor: Actor, address: str) -> list[Erasure]:
    """Everybody who has it, in every website. Raises NotFound, Conflict, NotKept."""
    actor.require(Role.ADMIN)
    return await db.transact(partial(_erase_address, actor=actor, address=address))


async def _erase_address(connection: AsyncConnection, actor: Actor, address: str) -> list[Erasure]:
    for person in await find_by_address(connection, address):
        await lock_website(connection, person.website_id)
    people = await find_by_address(connection, address)
    return [await erase_person(connection, actor, person) for person in people]


async def erase_person(connection: AsyncConnection, actor: Actor, person: Person) -> Erasure:
    """The caller holds the website's lock, and commits next."""
    await refuse_during_import(connection, person.website_id)
    erasure = await erase_rows(connection, actor, person)
    hasher = await make_hasher(connection, person.website_id)
    await keep_people(connection, hasher, person.identities)
    return erasure


async def erase_rows(connection: AsyncConnection, actor: Actor, person: Person) -> Erasure:
    """In the database alone; the caller holds the website's lock."""
    hasher = await make_hasher(connection, person.website_id)
    await list_erased(connection, hasher, person.identities)
    erasure = await _count(connection, person)
    await _delete_rows(connection, person)
    await forget_import_rows(connection, person)
    await _forget_audit(connection, person)
    await forget_mentions(connection, person)
    touched = await touched_conversations(
        connection,
        person.website_id,
        people_ids=person.people_ids,
        addresses=person.addresses | person.shared,
    )
    await relink(connection, person.website_id, touched)
    counts = {name: n for name, n in asdict(erasure).items() if name != "website_id"}
    await audit(connection, actor, "person.erased", website_id=person.website_id, after=counts)
    return erasure


async def _count(connection: AsyncConnection, person: Person) -> Erasure:
    return Erasure(
        person.website_id,
        len(person.contact_ids),
        len(person.conversations),
        await count_messages(connection, person),
        len(person.shared),
    )


async def _delete_rows(connection: AsyncConnection, person: Person) -> None:
    website_id, ids = person.website_id, sorted(person.contact_ids)
    await delete_conversations(connection, website_id, sorted(person.conversations))
    ended = await connection.execute(
        contact_companies.delete()
        .where(
            contact_companies.c.website_id == website_id, contact_companies.c.contact_id.in_(ids)
        )
        .returning(contact_companies.c.id)
    )
    note_changes(connection, "membership", website_id, ended.scalars())
    await forget_addresses(connection, website_id, ids)
    await delete_contacts(connection, website_id, ids)
    await _forget_links(connection, website_id, ids)


async def _forget_links(connection: AsyncConnection, website_id: str, ids: Sequence[str]) -> None:
    """Decisions about other people's conversations: that one was not theirs, say."""
    d, c = link_decisions.c, conversations.c
    decided = await connection.execute(
        link_decisions.delete()
        .where(d.website_id == website_id, d.contact_id.in_(ids))
        .returning(d.conversation_id)
    )
    note_changes(connection, "link", website_id, decided.scalars())
    conflicting = await connection.execute(
        conversations.update()
        .where(c.website_id == website_id, c.conflicting_contact_id.in_(ids))
        .values(conflicting_contact_id=None)
        .returning(c.id)
    )
    note_changes(connection, "link", website_id, conflicting.scalars())


async def _forget_audit(connection: AsyncConnection, person: Person) -> None:
    subjects = sorted({*person.contact_ids, *person.conversations, *person.people_ids})
    await connection.execute(
        update(audit_log)
        .where(audit_log.c.subject_id.in_(subjects))
        .values(before=None, after=None)
    )
