"""The one writer: whatever came in, as records, into the schema and linked, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.companies.by_hand import write_company_edits, write_memberships
from app.companies.edited import (
    Joining,
    Trace,
    drop_memberships,
    end_memberships,
    join_companies,
)
from app.companies.members import Membership, keep_memberships
from app.companies.store import Naming, resolve_companies
from app.contacts.edited import delete_contacts, forget_addresses, write_contact_edits
from app.contacts.removals import bury_contacts
from app.contacts.store import Belonging, write_contacts
from app.conversations.progress import write_progress
from app.conversations.removals import bury_conversations
from app.conversations.store import write_conversations
from app.conversations.threads import (
    MessageRemoval,
    bury_messages,
    write_edits,
    write_messages,
)
from app.db.sqlstate import is_bad_value
from app.db.statistics import ensure_statistics, make_known
from app.known import PLANNED_BY, Known, find_known
from app.matching.keep_out import keep_out, refuse_erased, which_are_erased
from app.matching.link import (
    asking_dependent,
    relink,
    relink_companies,
    touched_conversations,
    with_links,
)
from app.records import Batch, CompanyEdit, ContactEdit, Rejected, named, singles
from app.websites.rules import WebsiteRules, lock_website

# What one bad value in a record can cause, at whatever layer notices it first; `is_bad_value` decides.
BAD_VALUES = (StatementError, ValueError, TypeError, OverflowError)


@dataclass(slots=True)
class Outcome:
    """How many records said something new, and which could not be kept."""

    contacts: int = 0
    conversations: int = 0
    messages: int = 0
    kept_out: int = 0
    """Records about people who were erased (SPEC P6)."""
    rejected: list[Rejected] = field(default_factory=list)
    unsettled: set[str] = field(default_factory=set)
    """Ids of conversations whose threads are to be read again, but not at once."""


async def ingest(
    connection: AsyncConnection,
    rules: WebsiteRules,
    batch: Batch,
    *,
    sifted: bool = False,
    known: Known | None = None,
    when_asked: Callable[[], None] | None = None,
) -> Outcome:
    """Write a batch, all of it: a record that the database refuses raises one of BAD_VALUES.

    `sifted`: the caller has left out who was erased. `known`: what it found, if it asked (`find_known`).
    `when_asked` is called when most of what is left is the database's work, and done by PostgreSQL alone.

    One writer for each website at a time: batches are merged with what is stored, and two merges
    of the same row must not overlap.
    """
    await lock_website(connection, rules.id)
    return await _write(connection, rules, batch, sifted=sifted, known=known, when_asked=when_asked)


async def ingest_singly(
    connection: AsyncConnection,
    rules: WebsiteRules,
    batch: Batch,
    *,
    sifted: bool = False,
) -> Outcome:
    """For a batch that was refused: what can be kept is kept, the rest is reported (FAILURES case 53)."""
    await lock_website(connection, rules.id)
    return await _write_one_by_one(connection, rules, batch, sifted=sifted)


@dataclass(slots=True)
class Edited:
    """The membership that each contact got, and what that did to companies."""

    memberships: dict[str, str]
    companies: list[Trace]


async def ingest_edits(
    connection: AsyncConnection, website_id: str, edits: Sequence[ContactEdit]
) -> Edited:
    """Write what others than Crisp say of contacts, and link again what that touches (SPEC I12).

    Raises one of BAD_VALUES when the database refuses one of them, Refused for the address of somebody
    who was erased; then none is written.
    """
    await lock_website(connection, website_id)
    await refuse_erased(connection, website_id, edits)
    since = await write_contact_edits(connection, website_id, edits)
    moment = clock.now()
    closed = [one for edit in edits for one in edit.closed]
    reopened = [one for edit in edits for one in edit.reopened]
    dropped = [one for edit in edits for one in edit.dropped]
    await end_memberships(connection, website_id, closed, moment)
    await end_memberships(connection, website_id, reopened, None)
    await drop_memberships(connection, website_id, dropped)
    joinings = [
        Joining(
            contact_id=edit.contact_id,
            company=edit.company,
            source=edit.source,
            since=since[edit.contact_id],
            replaces=bool(edit.closed),
            described=edit.described,
            opens=edit.joins,
            membership_id=edit.membership_id,
        )
        for edit in edits
        if edit.company is not None
    ]
    opened, traces = await join_companies(connection, website_id, joinings)
    by_hand = {
        edit.contact_id: (edit.source, edit.memberships) for edit in edits if edit.memberships
    }
    await write_memberships(connection, website_id, by_hand, since)
    touched = await touched_conversations(
        connection,
        website_id,
        contact_ids=[edit.contact_id for edit in edits],
        addresses={lost for edit in edits for lost in edit.lost_addresses},
    )
    await relink(connection, website_id, touched)
    await ensure_statistics(connection, *PLANNED_BY)
    return Edited(opened, traces)


async def ingest_company_edits(
    connection: AsyncConnection, website_id: str, edits: Sequence[CompanyEdit]
) -> None:
    """Write what others than Crisp say of companies. Who belongs to them, and what, stays as it is."""
    await lock_website(connection, website_id)
    await write_company_edits(connection, website_id, edits)


async def delete_untouched(
    connection: AsyncConnection, website_id: str, contact_ids: Sequence[str]
) -> None:
    """Contacts that an import made and nobody touched since: gone as if they had never been."""
    await lock_website(connection, website_id)
    touched = await touched_conversations(connection, website_id, contact_ids=contact_ids)
    # Without an address nothing is found by it any more; then nothing points to the contact.
    await forget_addresses(connection, website_id, contact_ids)
    await delete_contacts(connection, website_id, contact_ids)
    await relink(connection, website_id, touched)


async def remove_conversations(
    connection: AsyncConnection, rules: WebsiteRules, removed: Mapping[str, int]
) -> int:
    """Leave tombstones; how many rows were live until now (SPEC D4).

    `removed`: session id to when the removal was observed, epoch ms of Crisp's clock.
    """
    await lock_website(connection, rules.id)
    _, out = await which_are_erased(connection, rules.id, (), removed)
    removed = {session_id: ms for session_id, ms in removed.items() if session_id not in out}
    return len(await bury_conversations(connection, rules.id, removed))


async def remove_contacts(
    connection: AsyncConnection, rules: WebsiteRules, removed: Mapping[str, int]
) -> int:
    """Leave tombstones and unlink their conversations; how many were live until now.

    `removed`: people id to when the removal was observed, epoch ms of Crisp's clock.
    """
    await lock_website(connection, rules.id)
    out, _ = await which_are_erased(connection, rules.id, removed, ())
    removed = {people_id: ms for people_id, ms in removed.items() if people_id not in out}
    buried = await bury_contacts(connection, rules.id, removed)
    touched = await touched_conversations(
        connection, rules.id, contact_ids=buried, people_ids=list(removed)
    )
    await relink(connection, rules.id, touched)
    return len(buried)


async def remove_messages(
    connection: AsyncConnection, rules: WebsiteRules, removals: Sequence[MessageRemoval]
) -> None:
    """Leave marks; their conversations must be stored."""
    await lock_website(connection, rules.id)
    _, out = await which_are_erased(connection, rules.id, (), [r.session_id for r in removals])
    removals = [removal for removal in removals if removal.session_id not in out]
    changed = await bury_messages(connection, rules.id, removals)
    dependent = await connection.execute(*asking_dependent(rules.id, sorted(changed)))
    await relink_companies(connection, rules.id, dependent.scalars())


async def _write(
    connection: AsyncConnection,
    rules: WebsiteRules,
    batch: Batch,
    *,
    sifted: bool,
    known: Known | None = None,
    when_asked: Callable[[], None] | None = None,
) -> Outcome:
    batch, out = await keep_out(connection, batch, False if sifted else None)
    kept = [m for m in batch.messages if rules.import_notes or m.type != "note"]
    if known is None:
        _, known = await find_known(connection, batch)
    await make_known(connection, known.unknown)
    changes = await write_contacts(
        connection, rules.id, rules.mapping, batch.contacts, known.people
    )
    await _keep_companies(connection, rules.id, changes.belongings)
    # Before the conversations: those of this batch are linked anyway, and the answer need not wait for them.
    touched = await touched_conversations(
        connection,
        rules.id,
        contact_ids=changes.contact_ids,
        people_ids=changes.people_ids,
        addresses=changes.addresses,
    )
    since = rules.keeps_texts_since
    fresh, changed = await write_conversations(
        connection, rules.id, batch.conversations, known.stored, with_links, since
    )
    if when_asked is not None:
        when_asked()
    told = await write_messages(connection, rules.id, kept, known.begun, since, batch.threads)
    answered = told.touched | await write_edits(connection, rules.id, batch.edits)
    linked = fresh | changed | touched
    await relink(connection, rules.id, linked, fresh=fresh)
    await relink_companies(connection, rules.id, known.dependent & answered - linked)
    counts = len(changes.contact_ids), len(fresh | changed), len(kept), out.records
    return Outcome(*counts, unsettled=told.unsettled)


async def _keep_companies(
    connection: AsyncConnection, website_id: str, belongings: Sequence[Belonging]
) -> None:
    namings = [
        Naming(b.company, int(b.at.timestamp() * 1000)) for b in belongings if b.company is not None
    ]
    ids = await resolve_companies(connection, website_id, namings)
    memberships = [
        Membership(
            b.contact_id, ids[b.company.key] if b.company else None, b.at, b.since, b.lands_on
        )
        for b in belongings
    ]
    await keep_memberships(connection, website_id, memberships)


async def _write_one_by_one(
    connection: AsyncConnection, rules: WebsiteRules, batch: Batch, *, sifted: bool
) -> Outcome:
    outcome = Outcome()
    for single in singles(batch):
        try:
            async with connection.begin_nested():
                written = await _write(connection, rules, single, sifted=sifted)
        except BAD_VALUES as error:
            if not is_bad_value(error):
                raise
            # The driver's text may quote the value, so only the kind of error is told.
            kind = type(getattr(error, "orig", None) or error).__name__
            outcome.rejected.append(Rejected(*named(single), f"the database refuses it ({kind})"))
        else:
            outcome.contacts += written.contacts
            outcome.conversations += written.conversations
            outcome.messages += written.messages
            outcome.kept_out += written.kept_out
    outcome.unsettled = await write_progress(connection, rules.id, batch.threads)
    return outcome
