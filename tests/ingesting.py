"""For tests that write through `ingest`: a connected website on a database, and Crisp's JSON of few words.

async with connected(database_url) as site:
    await site.take(person("ann", email="ann@acme.example"), talk("t1", people_id="ann"))
    assert (await site.conversation("t1")).match_rule == "people_id"

Times are told in minutes after START; `at` is Crisp's time of the record, `seen` when it was observed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import (
    conversation_companies,
    conversations,
    link_decisions,
    messages,
)
from app.crisp import translate
from app.db.base import new_id
from app.db.session import Database, open_database
from app.db.sqlstate import is_bad_value
from app.ingest import (
    BAD_VALUES,
    Outcome,
    ingest,
    ingest_singly,
    remove_contacts,
    remove_conversations,
)
from app.matching.link import relink
from app.normal import normal_address
from app.records import (
    Batch,
    ContactRecord,
    ConversationRecord,
    MessageRecord,
    Rejected,
    Version,
    conversation_id,
)
from app.websites.connect import Installed, save_connected
from app.websites.rules import rules_of
from app.websites.tables import websites

WEBSITE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = 60_000
PAYLOADS = Path(__file__).parent / "payloads"

Json = dict[str, Any]
Record = ContactRecord | ConversationRecord | MessageRecord


def payload(name: str) -> Any:
    """One of Crisp's answers or hooks, as in tests/payloads/."""
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def ms(minutes: float) -> int:
    return round(START.timestamp() * 1000 + minutes * MINUTE)


def moment(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def kept(record: Any) -> Any:
    """The record, which must be none that was rejected."""
    assert not isinstance(record, Rejected), record
    return record


def person(
    people_id: str,
    at: float = 0,
    seen: float | None = None,
    *,
    direct: bool = False,
    **profile: Any,
) -> ContactRecord:
    body = {"people_id": people_id, "created_at": ms(-9000), "updated_at": ms(at), **profile}
    record: ContactRecord = kept(
        translate.contact(body, ms(at if seen is None else seen), direct=direct)
    )
    return record


def talk(
    session_id: str,
    at: float = 0,
    seen: float | None = None,
    *,
    direct: bool = False,
    meta: Json | None = None,
    **fields: Any,
) -> ConversationRecord:
    body: Json = {"session_id": session_id, "created_at": ms(-1), "updated_at": ms(at), **fields}
    if meta is not None:
        body["meta"] = meta
    asked_ms = ms(at if seen is None else seen)
    record: ConversationRecord = kept(translate.conversation(body, asked_ms, direct=direct))
    return record


def said(
    session_id: str,
    fingerprint: int,
    content: Any = "Hello",
    at: float = 0,
    seen: float | None = None,
    *,
    sent_by: str = "user",
    **fields: Any,
) -> MessageRecord:
    body = {"fingerprint": fingerprint, "content": content, "timestamp": ms(at), "type": "text"}
    record: MessageRecord = kept(
        translate.message(
            {"from": sent_by, **body, **fields}, session_id, ms(at if seen is None else seen)
        )
    )
    return record


@dataclass(slots=True)
class Site:
    """One connected website; each `take` is one transaction, as one page is."""

    db: Database
    id: str = WEBSITE

    async def take(self, *records: Record) -> Outcome:
        batch = Batch(self.id)
        for record in records:
            if isinstance(record, ContactRecord):
                batch.contacts.append(record)
            elif isinstance(record, ConversationRecord):
                batch.conversations.append(record)
            else:
                batch.messages.append(record)

        async def work(connection: Any, writer: Any) -> Outcome:
            outcome: Outcome = await writer(connection, await rules_of(connection, self.id), batch)
            return outcome

        try:
            return await self.db.transact(lambda connection: work(connection, ingest))
        except BAD_VALUES as error:
            if not is_bad_value(error):
                raise
            return await self.db.transact(lambda connection: work(connection, ingest_singly))

    async def remove_person(self, people_id: str, seen: float) -> int:
        async def work(connection: Any) -> int:
            rules = await rules_of(connection, self.id)
            return await remove_contacts(connection, rules, {people_id: ms(seen)})

        return await self.db.transact(work)

    async def remove_talk(self, session_id: str, seen: float) -> int:
        async def work(connection: Any) -> int:
            rules = await rules_of(connection, self.id)
            return await remove_conversations(connection, rules, {session_id: ms(seen)})

        return await self.db.transact(work)

    async def settings(self, **values: Any) -> None:
        await self.execute(update(websites).where(websites.c.id == self.id).values(**values))

    async def execute(self, statement: Any) -> None:
        async with self.db.write() as connection:
            await connection.execute(statement)

    async def add_by_hand(
        self, name: str | None, *addresses: str, source: str = "csv", **columns: Any
    ) -> str:
        """A contact that did not come from Crisp, as an import or a person would leave it."""
        contact_id = new_id()
        row: Json = {
            "website_id": self.id, "id": contact_id, "name": name, "source": source,
            "email": addresses[0] if addresses else None, "attributes": {}, "segments": [],
            "segment_sources": {}, "created_at": START, "updated_at": START, "search": "",
            "crisp_fields": {}, "version_ms": 0, "observed_ms": 0, "seen_ms": 0,
        }  # fmt: skip
        await self.execute(insert(contacts).values(row | columns))
        for address in addresses:
            await self.add_address(contact_id, address, source=source)
        return contact_id

    async def add_address(self, contact_id: str, address: str, source: str = "csv") -> None:
        row = {"website_id": self.id, "contact_id": contact_id, "is_primary": False}
        norm = normal_address(address)
        await self.execute(
            insert(contact_emails).values({**row, "email_norm": norm, "source": source})
        )

    async def decide(self, session_id: str, contact_id: str, decision: str) -> None:
        """Pin or deny a link, as a person does."""
        own_id = conversation_id(self.id, session_id)
        row = {
            "website_id": self.id, "conversation_id": own_id, "contact_id": contact_id,
            "decision": decision, "decided_by": "mira@support.example", "decided_at": START,
        }  # fmt: skip
        await self.execute(insert(link_decisions).values(row))
        async with self.db.write() as connection:
            await relink(connection, self.id, [own_id])

    async def rows(self, query: Any) -> list[Any]:
        async with self.db.read() as connection:
            return list((await connection.execute(query)).all())

    async def contact(self, people_id: str) -> Any:
        query = select(contacts).where(
            contacts.c.website_id == self.id, contacts.c.crisp_people_id == people_id
        )
        return (await self.rows(query))[0]

    async def conversation(self, session_id: str) -> Any:
        query = select(conversations).where(
            conversations.c.website_id == self.id, conversations.c.session_id == session_id
        )
        return (await self.rows(query))[0]

    async def message(self, session_id: str, fingerprint: int) -> Any:
        query = select(messages).where(
            messages.c.website_id == self.id,
            messages.c.conversation_id == conversation_id(self.id, session_id),
            messages.c.fingerprint == fingerprint,
        )
        return (await self.rows(query))[0]

    async def addresses(self, people_id: str) -> set[str]:
        contact_id = (await self.contact(people_id)).id
        query = select(contact_emails.c.email_norm).where(contact_emails.c.contact_id == contact_id)
        return {row.email_norm for row in await self.rows(query)}

    async def owner(self, session_id: str) -> str | None:
        """The people id of the conversation's contact, or our id where it has none."""
        contact_id = (await self.conversation(session_id)).contact_id
        if contact_id is None:
            return None
        query = select(contacts.c.crisp_people_id).where(contacts.c.id == contact_id)
        return str((await self.rows(query))[0].crisp_people_id or contact_id)

    async def company_names(self) -> list[str]:
        query = select(companies.c.name).where(companies.c.website_id == self.id)
        return sorted(row.name for row in await self.rows(query))

    async def companies_of_talk(self, session_id: str) -> list[str]:
        query = (
            select(companies.c.name)
            .join_from(
                conversation_companies,
                companies,
                conversation_companies.c.company_id == companies.c.id,
            )
            .where(conversation_companies.c.conversation_id == conversation_id(self.id, session_id))
        )
        return sorted(row.name for row in await self.rows(query))

    async def memberships(self, people_id: str) -> list[tuple[str, datetime, datetime | None]]:
        """Company, since and until, in the order in which they began."""
        contact_id = (await self.contact(people_id)).id
        query = (
            select(companies.c.name, contact_companies.c.since, contact_companies.c.until)
            .join_from(
                contact_companies, companies, contact_companies.c.company_id == companies.c.id
            )
            .where(contact_companies.c.contact_id == contact_id)
            .order_by(contact_companies.c.since)
        )
        return [(row.name, row.since, row.until) for row in await self.rows(query)]


@asynccontextmanager
async def connected(database_url: str, **settings: Any) -> AsyncIterator[Site]:
    """A website on a migrated database; `settings` are columns of it (SPEC C6)."""
    db = open_database(database_url)
    try:
        await save_connected(db, Installed(WEBSITE, "Acme Chat", None))
        site = Site(db)
        if settings:
            await site.settings(**settings)
        yield site
    finally:
        await db.close()


def version(at: float, seen: float | None = None, *, direct: bool = False) -> Version:
    return Version(ms(at), ms(at if seen is None else seen), direct)
