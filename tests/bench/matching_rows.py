"""Rows for matching at size, put straight into the tables: contacts, companies, conversations.

Of the conversations, seven in ten carry the id of a person, and the address too; one in seven only an
address; the rest an id or an address nobody has, an address that two contacts share, or nothing.
Every tenth contact has changed its company once. Nothing is linked yet.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations
from app.db.session import Database
from app.websites.tables import websites

Row = dict[str, Any]
WEBSITE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CONTACTS_A_COMPANY = 10
SHARED_EVERY = 100
MOVED_EVERY = 10
AT_ONCE = 2_000


async def fill(db: Database, people: int, talks: int, seed: int = 1) -> None:
    dice = random.Random(seed)
    async with db.write() as connection:
        await connection.execute(insert(websites), [_website()])
        await _put(connection, companies, (_company(n) for n in range(people // 10 + 1)))
        await _put(connection, contacts, (_contact(n) for n in range(people)))
        await _put(connection, contact_emails, (_address(n) for n in range(people)))
        await _put(connection, contact_companies, _memberships(people))
        await _put(connection, conversations, (_talk(dice, n, people) for n in range(talks)))
    async with db.write() as connection:
        # Both keep statistics up to date by themselves in daily use; here there was no time for it.
        await connection.execute(text("ANALYZE"))


async def _put(connection: AsyncConnection, table: Table, rows: Iterator[Row]) -> None:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == AT_ONCE:
            await connection.execute(insert(table), batch)
            batch = []
    if batch:
        await connection.execute(insert(table), batch)


def talk_id(n: int) -> str:
    return _id(4, n)


def _id(kind: int, n: int) -> str:
    """Scattered as real ids are: neighbours in number are none in the index."""
    return str(UUID(int=random.Random(kind << 40 | n).getrandbits(128), version=4))


def _email(n: int) -> str:
    # Every hundredth shares the address of the one before.
    return f"person{n - 1 if n % SHARED_EVERY == 1 else n}@firm{n // CONTACTS_A_COMPANY}.example"


def _website() -> Row:
    return {
        "id": WEBSITE,
        "name": "Size",
        "status": "connected",
        "connected_at": BEGAN,
        "generation": 1,
        "import_people": True,
        "import_conversations": True,
        "import_notes": True,
        "import_custom_data": False,
        "mapping": {},
        "time_zone": "UTC",
    }


def _company(n: int) -> Row:
    return {
        "website_id": WEBSITE,
        "id": _id(1, n),
        "name": f"Firm {n}",
        "domain": f"firm{n}.example",
        "attributes": {},
        "created_at": BEGAN,
        "updated_at": BEGAN,
        "search": f"firm {n}",
        "named_ms": 1,
    }


def _contact(n: int) -> Row:
    return {
        "website_id": WEBSITE,
        "id": _id(2, n),
        "crisp_people_id": _id(3, n),
        "email": _email(n),
        "name": f"Person {n}",
        "attributes": {},
        "segments": [],
        "source": "crisp",
        "created_at": BEGAN,
        "updated_at": BEGAN,
        "deleted_at": BEGAN if n % 500 == 7 else None,
        "search": f"person {n}",
        "crisp_fields": {"email": _email(n)},
        "segment_sources": {},
        "crisp_raw": {"people_id": _id(3, n)},
        "version_ms": 1,
        "observed_ms": 1,
        "seen_ms": 1,
    }


def _address(n: int) -> Row:
    return {
        "website_id": WEBSITE,
        "email_norm": _email(n),
        "contact_id": _id(2, n),
        "is_primary": True,
        "source": "crisp",
    }


def _memberships(people: int) -> Iterator[Row]:
    for n in range(people):
        moved_at = BEGAN + timedelta(days=150) if n % MOVED_EVERY == 3 else None
        yield _membership(5, n, n // CONTACTS_A_COMPANY, BEGAN, moved_at, replaced=False)
        if moved_at is not None:
            company = (n + 7 * CONTACTS_A_COMPANY) // CONTACTS_A_COMPANY % (people // 10)
            yield _membership(6, n, company, moved_at, None, replaced=True)


def _membership(
    kind: int, n: int, company: int, since: datetime, until: datetime | None, *, replaced: bool
) -> Row:
    return {
        "website_id": WEBSITE,
        "id": _id(kind, n),
        "contact_id": _id(2, n),
        "company_id": _id(1, company),
        "source": "crisp",
        "since": since,
        "until": until,
        "replaced_another": replaced,
    }


def _talk(dice: random.Random, n: int, people: int) -> Row:
    began = BEGAN + timedelta(minutes=dice.randrange(300 * 24 * 60))
    people_id, email = _identity(dice, people)
    return {
        "website_id": WEBSITE,
        "id": talk_id(n),
        "session_id": f"session_{talk_id(n)}",
        "match_verified": False,
        "unmatched_reason": "no_identity",
        "people_id": people_id,
        "nickname": f"visitor{n}",
        "email": email,
        "email_norm": email,
        "email_verified": n % 3 == 0,
        "status": "resolved",
        "metadata": {"locales": ["en"], "browser": "Firefox"},
        "crisp_created_at": began,
        "crisp_updated_at": began + timedelta(hours=1),
        "search": f"visitor{n}",
        # As large as a real one, since rows that are rewritten are rewritten whole.
        "raw": {"session_id": f"session_{talk_id(n)}", "meta": {"nickname": "x" * 700}},
        "version_ms": 1,
        "observed_ms": 1,
        "seen_ms": 1,
        "message_count": 9,
        "last_message_at": began + timedelta(hours=1),
        "messages_due": False,
        "messages_complete": True,
    }


def _identity(dice: random.Random, people: int) -> tuple[str | None, str | None]:
    who, throw = dice.randrange(people), dice.random()
    if throw < 0.70:
        return _id(3, who), _email(who)
    if throw < 0.85:
        return None, _email(who)
    if throw < 0.90:
        return None, f"nobody{who}@elsewhere.example"
    if throw < 0.92:
        return _id(7, who), None
    return None, None
