"""What may be written of a batch after somebody was erased (SPEC P6, FAILURES case 67).

Who is new here and has an erased id or address is kept out, and so is every session of theirs, from
then on by its own id. Who is known here stays and only loses the erased address: it is somebody else
who uses it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.edited import delete_contacts
from app.contacts.erased import (
    Hasher,
    Identity,
    erased_of,
    find_erased,
    find_hasher,
    identities_in,
    list_erased,
    without,
)
from app.contacts.tables import contacts
from app.conversations.removals import delete_conversations
from app.conversations.tables import conversations
from app.db.one_of import is_one_of
from app.errors import Refused
from app.normal import normal_address
from app.records import (
    Batch,
    ContactEdit,
    ContactRecord,
    ConversationRecord,
    EditRecord,
    MessageRecord,
    conversation_id,
)


@dataclass(slots=True)
class Out:
    """What stays out of one batch, by Crisp's ids, and the erased identities that it named."""

    erased: set[Identity] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    records: int = 0


async def keep_out(
    connection: AsyncConnection, batch: Batch, anybody: bool | None = None
) -> tuple[Batch, Out]:
    """The batch without erased people. One lookup for a website in which nobody was erased, or none where
    `anybody` says so.
    """
    out = Out()
    hasher = await find_hasher(connection, batch.website_id, anybody)
    if hasher is None:
        return batch, out
    out.erased = await erased_of(connection, hasher, _named(batch))
    if not out.erased:
        return batch, out
    await _decide(connection, batch, out)
    await _learn(connection, hasher, out)
    kept = _without(batch, out)
    out.records = _size(batch) - _size(kept)
    return kept, out


def _named(batch: Batch) -> Iterator[Identity]:
    for contact in batch.contacts:
        yield ("person", contact.people_id)
        yield from identities_in([contact.fields, contact.raw, contact.custom_data])
    for talk in batch.conversations:
        yield ("session", talk.session_id)
        yield from identities_in([talk.fields, talk.metadata, talk.raw])
    for message in batch.messages:
        yield ("session", message.session_id)
        yield from identities_in([message.raw, message.content])
    for edit in batch.edits:
        yield ("session", edit.session_id)
        yield from identities_in(edit.content)


async def _decide(connection: AsyncConnection, batch: Batch, out: Out) -> None:
    """By an id at once; by an address only who is not known here under an id that was not erased."""
    out.people = {value for kind, value in out.erased if kind == "person"}
    out.sessions = {value for kind, value in out.erased if kind == "session"}
    people = {r.people_id for r in batch.contacts if _by_address(r, out)} - out.people
    known = await _known_people(connection, batch.website_id, people)
    out.people |= people - known
    talks = [r for r in batch.conversations if r.session_id not in out.sessions]
    doubtful = {r.session_id: r.fields.get("people_id") for r in talks if _by_owner(r, out)}
    owned = await _owned(connection, batch.website_id, doubtful)
    named = {people_id for people_id in doubtful.values() if people_id} - out.people
    others = await _known_people(connection, batch.website_id, named)
    out.sessions |= {
        session_id
        for session_id, people_id in doubtful.items()
        if session_id not in owned and people_id not in others
    }


def _by_address(record: ContactRecord | ConversationRecord, out: Out) -> bool:
    found = identities_in(record.fields.get("email"))
    return any(one in out.erased for one in found)


def _by_owner(record: ConversationRecord, out: Out) -> bool:
    return record.fields.get("people_id") in out.people or _by_address(record, out)


async def _known_people(
    connection: AsyncConnection, website_id: str, people_ids: Iterable[str]
) -> set[str]:
    """Those that are stored and were read, not only mentioned by a hook."""
    rows = await connection.execute(
        select(contacts.c.crisp_people_id).where(
            contacts.c.website_id == website_id,
            is_one_of(contacts.c.crisp_people_id, people_ids),
            contacts.c.deleted_at.is_(None),
            contacts.c.crisp_raw.is_not(None),
        )
    )
    return {row.crisp_people_id for row in rows}


async def _owned(
    connection: AsyncConnection, website_id: str, session_ids: Iterable[str]
) -> set[str]:
    """Sessions that are stored as somebody's: whoever was erased owns none any more."""
    rows = await connection.execute(
        select(conversations.c.session_id).where(
            conversations.c.website_id == website_id,
            is_one_of(conversations.c.session_id, session_ids),
            conversations.c.contact_id.is_not(None),
        )
    )
    return {row.session_id for row in rows}


async def _learn(connection: AsyncConnection, hasher: Hasher, out: Out) -> None:
    """Ids that are only now known to be theirs; what a hook had left of them before goes."""
    sessions = {s for s in out.sessions if ("session", s) not in out.erased}
    people = {p for p in out.people if ("person", p) not in out.erased}
    if not sessions and not people:
        return
    new: list[Identity] = [("session", s) for s in sessions]
    new += [("person", p) for p in people]
    await list_erased(connection, hasher, new)
    out.erased |= set(new)
    ids = [conversation_id(hasher.website_id, session_id) for session_id in sorted(sessions)]
    await delete_conversations(connection, hasher.website_id, ids)
    rows = await connection.execute(
        select(contacts.c.id).where(
            contacts.c.website_id == hasher.website_id,
            is_one_of(contacts.c.crisp_people_id, people),
        )
    )
    await delete_contacts(connection, hasher.website_id, [row.id for row in rows])


def _without(batch: Batch, out: Out) -> Batch:
    return Batch(
        batch.website_id,
        contacts=[_contact(r, out) for r in batch.contacts if r.people_id not in out.people],
        conversations=[
            _conversation(r, out) for r in batch.conversations if r.session_id not in out.sessions
        ],
        messages=[_message(r, out) for r in batch.messages if r.session_id not in out.sessions],
        edits=[_edit(r, out) for r in batch.edits if r.session_id not in out.sessions],
        threads=[t for t in batch.threads if t.session_id not in out.sessions],
    )


def _contact(record: ContactRecord, out: Out) -> ContactRecord:
    if not _names(out, [record.fields, record.raw, record.custom_data]):
        return record
    return replace(
        record,
        fields=without(record.fields, out.erased),
        raw=without(record.raw, out.erased),
        custom_data=without(record.custom_data, out.erased),
    )


def _conversation(record: ConversationRecord, out: Out) -> ConversationRecord:
    if not _names(out, [record.fields, record.metadata, record.raw]):
        return record
    return replace(
        record,
        fields=without(record.fields, out.erased),
        metadata=without(record.metadata, out.erased),
        raw=without(record.raw, out.erased),
    )


def _message(record: MessageRecord, out: Out) -> MessageRecord:
    if not _names(out, [record.raw, record.content]):
        return record
    return replace(
        record, raw=without(record.raw, out.erased), content=without(record.content, out.erased)
    )


def _edit(record: EditRecord, out: Out) -> EditRecord:
    return replace(record, content=without(record.content, out.erased))


def _names(out: Out, value: object) -> bool:
    return any(identity in out.erased for identity in identities_in(value))


def _size(batch: Batch) -> int:
    records = len(batch.contacts) + len(batch.conversations)
    return records + len(batch.messages) + len(batch.edits)


async def which_are_erased(
    connection: AsyncConnection, website_id: str, people: Iterable[str], sessions: Iterable[str]
) -> tuple[set[str], set[str]]:
    """Of people ids and session ids that are named without a record, those to be kept out."""
    hasher = await find_hasher(connection, website_id)
    if hasher is None:
        return set(), set()
    named: list[Identity] = [("person", one) for one in people]
    named += [("session", one) for one in sessions]
    erased = await erased_of(connection, hasher, named)
    return (
        {value for kind, value in erased if kind == "person"},
        {value for kind, value in erased if kind == "session"},
    )


async def refuse_erased(
    connection: AsyncConnection, website_id: str, edits: Iterable[ContactEdit]
) -> None:
    """Raises Refused when one of them would give a contact the address of somebody who was erased."""
    told = (
        normal_address(address)
        for edit in edits
        for address in (edit.email, edit.fields.get("email"), *edit.added_addresses)
    )
    if await find_erased(connection, website_id, {address for address in told if address}):
        raise Refused("Whoever has this address was erased, and stays out.")
