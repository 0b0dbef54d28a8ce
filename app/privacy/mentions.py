"""What stands of an erased person in rows that are not theirs: other people's conversations, the audit log,
imports, failed records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, cast, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.erased import Identity, identities_in, without
from app.conversations.tables import conversations, messages
from app.db.base import StoredRow, metadata
from app.db.upsert import Row, update_rows
from app.normal import fold_for_search, normal_address
from app.privacy.inventory import EMPTIED, MENTIONS
from app.privacy.person import Person

_c = conversations.c


async def forget_mentions(connection: AsyncConnection, person: Person) -> None:
    """After the person's own rows are gone."""
    await _forget_in_conversations(connection, person)
    for name, mention in MENTIONS.items():
        table = metadata.tables[name]
        found = _of_website(table, person.website_id) & or_(
            *(mentions(table.c[column], person.needles) for column in mention.columns)
        )
        if mention.what == "delete":
            await connection.execute(delete(table).where(found))
        else:
            empty = dict.fromkeys(mention.columns)
            await connection.execute(update(table).where(found).values(empty))
    for name in EMPTIED:
        await connection.execute(delete(metadata.tables[name]))


def _of_website(table: Table, website_id: str) -> ColumnElement[bool]:
    # What concerns the whole deployment, like a user who was added, has no website.
    if table.c.website_id.nullable:
        return or_(table.c.website_id == website_id, table.c.website_id.is_(None))
    return table.c.website_id == website_id


def mentions(column: Any, needles: Sequence[str]) -> ColumnElement[bool]:
    """The text or JSON has one of them in it, whatever its case."""
    text = func.lower(cast(column, Text))
    return or_(*(text.contains(needle, autoescape=True) for needle in needles))


async def _forget_in_conversations(connection: AsyncConnection, person: Person) -> None:
    """Other people's, in which they only appear: by address, as a participant (docs/why.md)."""
    erased = set(person.identities)
    rows = await connection.execute(
        select(conversations).where(
            _c.website_id == person.website_id,
            or_(
                _c.email_norm.in_(sorted(person.addresses)),
                _c.people_id.in_(sorted(person.people_ids)),
                mentions(_c.metadata, person.needles),
                mentions(_c.raw, person.needles),
            ),
        )
    )
    changed = [_without_person(row, erased) for row in rows]
    await update_rows(connection, conversations, changed, key=("website_id", "id"))
    await _forget_in_messages(connection, person, erased, [row["id"] for row in changed])


def _without_person(row: StoredRow, erased: set[Identity]) -> Row:
    email = without(row.email, erased)
    return {
        "website_id": row.website_id,
        "id": row.id,
        "people_id": without(row.people_id, erased),
        "email": email,
        "email_norm": normal_address(email),
        "metadata": without(row.metadata, erased),
        "raw": without(row.raw, erased),
        "search": fold_for_search(row.subject, row.nickname, email),
    }


async def _forget_in_messages(
    connection: AsyncConnection, person: Person, erased: set[Identity], ids: Sequence[str]
) -> None:
    for own_id in sorted(ids):
        rows = await connection.execute(
            select(messages).where(
                messages.c.website_id == person.website_id, messages.c.conversation_id == own_id
            )
        )
        changed: list[Row] = [
            {
                "website_id": row.website_id,
                "conversation_id": row.conversation_id,
                "fingerprint": row.fingerprint,
                "content": without(row.content, erased),
                "raw": without(row.raw, erased),
            }
            for row in rows
            if any(one in erased for one in identities_in([row.raw, row.content]))
        ]
        key = ("website_id", "conversation_id", "fingerprint")
        await update_rows(connection, messages, changed, key=key)
