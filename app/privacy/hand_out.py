"""One person's data, all of it, for that person (SPEC P6): the team's notes are about them too."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Table, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.accounts.tables import audit_log
from app.companies.tables import companies, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations, link_decisions, messages
from app.db.session import Database
from app.imports.tables import import_rows, imports
from app.privacy.person import Person, find_person
from app.webhooks.erased import identities_of_body, readable_body
from app.webhooks.tables import inbox_events

HOOKS_AT_ONCE = 1_000
_INTERNAL = frozenset({"website_id", "search"})


async def hand_out(db: Database, actor: Actor, contact_id: str) -> dict[str, Any]:
    """Rows by table, a conversation with its messages in it. Raises NotFound, Forbidden."""
    actor.require(Role.ADMIN)
    async with db.read() as connection:
        person = await find_person(connection, contact_id)
        told = await _everything(connection, person)
    await db.transact(
        lambda c: audit(
            c,
            actor,
            "person.exported",
            website_id=person.website_id,
            subject=("contact", contact_id),
        )
    )
    return told


def as_json(told: dict[str, Any]) -> bytes:
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(told, option=options, default=str)


async def _everything(connection: AsyncConnection, person: Person) -> dict[str, Any]:
    ids, own = sorted(person.contact_ids), sorted(person.conversations)
    talks = await _rows(connection, conversations, person, conversations.c.id.in_(own))
    said = await _rows(connection, messages, person, messages.c.conversation_id.in_(own))
    for talk in talks:
        talk["messages"] = [m for m in said if m["conversation_id"] == talk["id"]]
    theirs = or_(
        import_rows.c.contact_id.in_(ids), import_rows.c.email_norm.in_(sorted(person.addresses))
    )
    return {
        "website_id": person.website_id,
        "contacts": await _rows(connection, contacts, person, contacts.c.id.in_(ids)),
        "addresses": await _rows(
            connection, contact_emails, person, contact_emails.c.contact_id.in_(ids)
        ),
        "companies": await _companies(connection, person),
        "conversations": talks,
        "link_decisions": await _rows(
            connection, link_decisions, person, link_decisions.c.contact_id.in_(ids)
        ),
        "import_rows": await _rows(connection, import_rows, person, theirs),
        "imported_files": await _files(connection, person, theirs),
        "web_hooks": await _hooks(connection, person),
        "audit_log": await _rows(
            connection, audit_log, person, audit_log.c.subject_id.in_([*ids, *own])
        ),
    }


async def _rows(
    connection: AsyncConnection, table: Table, person: Person, where: Any
) -> list[dict[str, Any]]:
    order = list(table.primary_key.columns)
    rows = await connection.execute(
        select(table).where(table.c.website_id == person.website_id, where).order_by(*order)
    )
    return [_shown(row) for row in rows.mappings()]


def _shown(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _INTERNAL}


async def _companies(connection: AsyncConnection, person: Person) -> list[dict[str, Any]]:
    m = contact_companies.c
    rows = await connection.execute(
        select(companies.c.name, companies.c.domain, m.source, m.since, m.until)
        .join_from(
            contact_companies,
            companies,
            (m.website_id == companies.c.website_id) & (m.company_id == companies.c.id),
        )
        .where(m.website_id == person.website_id, m.contact_id.in_(sorted(person.contact_ids)))
        .order_by(m.since, m.id)
    )
    return [dict(row) for row in rows.mappings()]


async def _files(connection: AsyncConnection, person: Person, theirs: Any) -> list[dict[str, Any]]:
    named = select(import_rows.c.import_id).where(
        import_rows.c.website_id == person.website_id, theirs
    )
    rows = await connection.execute(
        select(imports.c.id, imports.c.file_name, imports.c.created_at)
        .where(imports.c.website_id == person.website_id, imports.c.id.in_(named))
        .order_by(imports.c.created_at)
    )
    return [dict(row) for row in rows.mappings()]


async def _hooks(connection: AsyncConnection, person: Person) -> list[dict[str, Any]]:
    """Those kept whose body names the person, as Crisp sent them."""
    wanted, found, after = set(person.identities), [], ""
    while True:
        rows = (
            await connection.execute(
                select(inbox_events)
                .where(
                    inbox_events.c.website_id == person.website_id,
                    inbox_events.c.id > after,
                    inbox_events.c.body.is_not(None),
                )
                .order_by(inbox_events.c.id)
                .limit(HOOKS_AT_ONCE)
            )
        ).all()
        found += [
            {"received_at": row.received_at, "event": row.event, "body": readable_body(row.body)}
            for row in rows
            if wanted.intersection(identities_of_body(row.body))
        ]
        if len(rows) < HOOKS_AT_ONCE:
            return sorted(found, key=lambda hook: hook["received_at"])
        after = rows[-1].id
