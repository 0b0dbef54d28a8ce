"""The addresses of contacts, in the normal form that matching compares (SPEC M2, M8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import and_, delete, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.tables import contact_emails, contacts
from app.db.base import StoredRow
from app.db.changes import note_changes
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows, upsert
from app.normal import normal_address
from app.sources import WITHOUT_CRISPS_ADDRESS

MERGED = "merged"
"""The source of an address that a contact answers to because one that a person merged into it has it."""

_KEY = ("website_id", "email_norm", "contact_id")


async def keep_addresses(
    connection: AsyncConnection, website_id: str, rows: Sequence[Row]
) -> set[str]:
    """Make each contact's address from Crisp the one its row has; the addresses gained or lost.

    Addresses from other sources stay: a contact may have several.
    """
    if not rows:
        return set()
    # What Crisp tells, not the column: that may hold what a person wrote (SPEC D7).
    wanted = {row["id"]: _crisps_address(row) for row in rows}
    first = {row["id"]: normal_address(row["email"]) for row in rows}
    found = await connection.execute(
        select(*(contact_emails.c[name] for name in (*_KEY, "is_primary", "source"))).where(
            contact_emails.c.website_id == website_id,
            is_one_of(contact_emails.c.contact_id, wanted),
        )
    )
    known = found.all()
    stored = {(row.contact_id, row.email_norm) for row in known if row.source == "crisp"}
    right = {(contact_id, address) for contact_id, address in wanted.items() if address}
    for contact_id, address in sorted(stored - right):
        await connection.execute(
            delete(contact_emails).where(
                contact_emails.c.website_id == website_id,
                contact_emails.c.contact_id == contact_id,
                contact_emails.c.email_norm == address,
                contact_emails.c.source == "crisp",
            )
        )
    gained = [
        {
            "website_id": website_id,
            "email_norm": address,
            "contact_id": contact_id,
            "is_primary": first[contact_id] in {address, None},
            "source": "crisp",
        }
        for contact_id, address in right - stored
    ]
    gained.sort(key=lambda row: (str(row["email_norm"]), str(row["contact_id"])))
    # Its own, now: no copy any more of what a merged contact has.
    await _forget_copies(connection, website_id, gained)
    await upsert(connection, contact_emails, gained, key=_KEY, update=("is_primary",))
    await _demote(connection, known, first)
    return {address for _, address in stored ^ right}


def _crisps_address(row: Row) -> str | None:
    """None also where a person said that it is none of this contact's."""
    if WITHOUT_CRISPS_ADDRESS in row["field_sources"]:
        return None
    return normal_address(row["crisp_fields"].get("email"))


async def _demote(
    connection: AsyncConnection, known: Sequence[StoredRow], first: Mapping[str, str | None]
) -> None:
    """What was the first address of a contact, and is not any more."""
    rows: list[Row] = [
        {**{name: getattr(row, name) for name in _KEY}, "is_primary": False}
        for row in known
        if row.is_primary and first[row.contact_id] not in {row.email_norm, None}
    ]
    rows.sort(key=lambda row: (row["email_norm"], row["contact_id"]))
    await update_rows(connection, contact_emails, rows, key=_KEY)


async def _forget_copies(connection: AsyncConnection, website_id: str, rows: Sequence[Row]) -> None:
    """Few addresses are copies, so these are found first."""
    e = contact_emails.c
    wanted = {(row["contact_id"], row["email_norm"]) for row in rows}
    copies = await connection.execute(
        select(e.contact_id, e.email_norm).where(
            e.website_id == website_id,
            e.source == MERGED,
            is_one_of(e.contact_id, {contact_id for contact_id, _ in wanted}),
        )
    )
    for contact_id, address in sorted(wanted & {(one, norm) for one, norm in copies}):
        await connection.execute(
            delete(contact_emails).where(
                e.website_id == website_id,
                e.contact_id == contact_id,
                e.email_norm == address,
                e.source == MERGED,
            )
        )
        note_changes(connection, "contact", website_id, [contact_id])


async def copy_addresses(
    connection: AsyncConnection, website_id: str, contact_ids: Collection[str]
) -> None:
    """Let contacts answer to the addresses of those that were merged into them, and to no others.

    Copies, so that whoever looks for an address finds the live contact; the merged one keeps its own.
    """
    e, loser = contact_emails.c, contacts.alias("loser")
    ids = sorted(contact_ids)
    theirs = await connection.execute(
        select(loser.c.merged_into.label("contact_id"), e.email_norm)
        .join_from(
            contact_emails,
            loser,
            and_(loser.c.website_id == e.website_id, loser.c.id == e.contact_id),
        )
        .where(
            loser.c.website_id == website_id,
            is_one_of(loser.c.merged_into, ids),
            e.source != MERGED,
        )
    )
    wanted = {(row.contact_id, row.email_norm) for row in theirs}
    known = await connection.execute(
        select(e.contact_id, e.email_norm, e.source).where(
            e.website_id == website_id,
            is_one_of(e.contact_id, ids),
            true() if wanted else e.source == MERGED,
        )
    )
    stored = {(row.contact_id, row.email_norm): row.source for row in known}
    copies = {pair for pair, source in stored.items() if source == MERGED}
    surplus = [{"contact_id": one, "email_norm": norm} for one, norm in sorted(copies - wanted)]
    await _forget_copies(connection, website_id, surplus)
    missing = [
        {
            "website_id": website_id,
            "email_norm": norm,
            "contact_id": contact_id,
            "is_primary": False,
            "source": MERGED,
        }
        for contact_id, norm in sorted(wanted - set(stored))
    ]
    await upsert(connection, contact_emails, missing, key=_KEY)


async def drop_addresses(
    connection: AsyncConnection, website_id: str, contact_id: str, norms: Collection[str]
) -> None:
    if norms:
        await connection.execute(
            delete(contact_emails).where(
                contact_emails.c.website_id == website_id,
                contact_emails.c.contact_id == contact_id,
                is_one_of(contact_emails.c.email_norm, norms),
            )
        )
    note_changes(connection, "contact", website_id, [contact_id])


async def mark_primary(connection: AsyncConnection, website_id: str, contact_id: str) -> None:
    """Of a contact's addresses the one that its column `email` has is the first."""
    email = await connection.scalar(
        select(contacts.c.email).where(
            contacts.c.website_id == website_id, contacts.c.id == contact_id
        )
    )
    rows = await connection.execute(
        select(*(contact_emails.c[name] for name in (*_KEY, "is_primary"))).where(
            contact_emails.c.website_id == website_id, contact_emails.c.contact_id == contact_id
        )
    )
    right: list[Row] = [
        {**row._asdict(), "is_primary": row.email_norm == normal_address(email)} for row in rows
    ]
    await update_rows(connection, contact_emails, right, key=_KEY)
