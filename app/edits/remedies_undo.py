"""Taking a remedy back: everything is as before it, or, where others changed something since, nothing is done.

Who then asks for the rest gets that: what others changed stays as it is, and is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.companies.edited import Trace, take_back_company
from app.companies.groups import landed
from app.companies.tables import companies, contact_companies
from app.companies.ties import drop_ties, find_ties, keep_ties
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations, link_decisions
from app.db.base import StoredRow
from app.db.changes import note_changes
from app.db.upsert import Row, upsert
from app.edits.leaving import ask_again
from app.edits.remedies import decision_told, decisions_of
from app.edits.tables import remedies, remedy_rows
from app.edits.ties import relink_domains
from app.edits.wishes import chunks
from app.errors import Conflict, NotFound
from app.ingest import delete_untouched
from app.matching.link import relink
from app.websites.rules import lock_website

merged = contacts.alias("merged")


class Changed(Conflict):
    """Others changed something since; whatever was written until then has to be rolled back."""


async def take_remedy_back(
    connection: AsyncConnection,
    website_id: str,
    remedy_id: str,
    actor: Actor,
    *,
    rest: bool = False,
) -> list[str]:
    """What stays because others changed it since, in words; there is some only where `rest` is asked for.

    Raises NotFound, and Changed where something would stay and `rest` is not asked for.
    """
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    row = await _require(connection, website_id, remedy_id)
    by_what = await _rows(connection, website_id, remedy_id)
    kept = await _contacts_back(connection, website_id, by_what.get("contact", []))
    kept += await _decisions_back(connection, website_id, by_what.get("decisions", []))
    kept += await _ties_back(connection, website_id, row.done_at, by_what.get("tie", []))
    if others := await ask_again(connection, website_id, by_what.get("left", [])):
        kept.append(f"{_few(others, 'conversation')} left alone anew")
    for one in by_what.get("company", []):
        kept += await _company_back(connection, website_id, one)
    if kept and not rest:
        raise Changed(f"Nothing was taken back, for since then {'; '.join(kept)}.")
    await connection.execute(
        update(remedies)
        .where(remedies.c.website_id == website_id, remedies.c.id == remedy_id)
        .values(undone_at=clock.now(), undone_by=actor.name, kept=kept)
    )
    await audit(
        connection,
        actor,
        "unmatched.undone",
        website_id=website_id,
        subject=("remedy", remedy_id),
        before=row.counts,
        after={"kept": kept},
    )
    return kept


async def _require(connection: AsyncConnection, website_id: str, remedy_id: str) -> StoredRow:
    found = await connection.execute(
        select(remedies).where(
            remedies.c.website_id == website_id,
            remedies.c.id == remedy_id,
            remedies.c.undone_at.is_(None),
        )
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("There is no such remedy, or it was taken back already.")
    return row


async def _rows(
    connection: AsyncConnection, website_id: str, remedy_id: str
) -> dict[str, list[StoredRow]]:
    rows = await connection.execute(
        select(remedy_rows)
        .where(remedy_rows.c.website_id == website_id, remedy_rows.c.remedy_id == remedy_id)
        .order_by(remedy_rows.c.key)
    )
    found: dict[str, list[StoredRow]] = {}
    for row in rows:
        found.setdefault(row.what, []).append(row)
    return found


async def _contacts_back(
    connection: AsyncConnection, website_id: str, rows: Sequence[StoredRow]
) -> list[str]:
    ids = [row.key for row in rows]
    there, untouched = 0, []
    for chunk in chunks(ids):
        found = await connection.execute(
            select(contacts.c.id, _untouched(website_id).label("untouched")).where(
                contacts.c.website_id == website_id, contacts.c.id.in_(chunk)
            )
        )
        for row in found:
            there += 1
            if row.untouched:
                untouched.append(row.id)
    await delete_untouched(connection, website_id, untouched)
    kept = there - len(untouched)
    return [f"{_few(kept, 'new contact')} changed by people or by Crisp"] if kept else []


def _untouched(website_id: str) -> Any:
    """As it was made: nothing was written to it, nobody decided about it, nothing hangs on it."""
    c, e, m = contacts.c, contact_emails.c, contact_companies.c
    addresses = (
        select(func.count())
        .where(e.website_id == website_id, e.contact_id == c.id)
        .scalar_subquery()
    )
    joined = exists().where(
        m.website_id == website_id, or_(m.contact_id == c.id, m.own_contact_id == c.id)
    )
    decided = exists().where(
        link_decisions.c.website_id == website_id, link_decisions.c.contact_id == c.id
    )
    return (
        c.crisp_people_id.is_(None)
        & (c.updated_at == c.created_at)
        & c.deleted_at.is_(None)
        & (addresses == 1)
        & ~joined
        & ~decided
        & ~exists().where(merged.c.website_id == website_id, merged.c.merged_into == c.id)
    )


async def _decisions_back(
    connection: AsyncConnection, website_id: str, rows: Sequence[StoredRow]
) -> list[str]:
    """The pin of this remedy goes; what it had replaced comes back."""
    if not rows:
        return []
    ids = {row.key for row in rows}
    now = {
        row.conversation_id: row
        for row in await decisions_of(connection, website_id, ids)
        if row.decision == "pin"
    }
    present = await _present(connection, website_id, ids)
    ours = [row for row in rows if row.key in now and _is_same(now[row.key], row.after)]
    contact_id, d = rows[0].after["contact_id"], link_decisions.c
    for chunk in chunks(row.key for row in ours):
        await connection.execute(
            delete(link_decisions).where(
                d.website_id == website_id,
                d.conversation_id.in_(chunk),
                d.contact_id == contact_id,
            )
        )
    back: list[Row] = [
        {
            "website_id": website_id,
            "conversation_id": row.key,
            **told,
            "decided_at": datetime.fromisoformat(told["decided_at"]),
        }
        for row in ours
        for told in row.before
    ]
    back.sort(key=lambda row: (row["conversation_id"], row["contact_id"]))
    key = ("website_id", "conversation_id", "contact_id")
    await upsert(connection, link_decisions, back, key=key)
    touched = [row.key for row in ours]
    note_changes(connection, "link", website_id, touched)
    await relink(connection, website_id, touched)
    kept = len(present) - len(ours)
    return [f"{_few(kept, 'conversation')} decided about anew"] if kept else []


async def _present(connection: AsyncConnection, website_id: str, ids: set[str]) -> set[str]:
    found: set[str] = set()
    for chunk in chunks(ids):
        rows = await connection.execute(
            select(conversations.c.id).where(
                conversations.c.website_id == website_id, conversations.c.id.in_(chunk)
            )
        )
        found.update(rows.scalars())
    return found


def _is_same(row: StoredRow, told: Row) -> bool:
    """To the millisecond: SQLite keeps no more of a time."""
    now = decision_told(row)
    times = [datetime.fromisoformat(one["decided_at"]) for one in (now, told)]
    return clock.to_ms(times[0]) == clock.to_ms(times[1]) and all(
        now[name] == told[name] for name in ("contact_id", "decided_by")
    )


async def _ties_back(
    connection: AsyncConnection, website_id: str, done_at: datetime, rows: Sequence[StoredRow]
) -> list[str]:
    now = await find_ties(connection, website_id, [row.key for row in rows])
    known = await _companies(connection, website_id, rows)
    others, gone, back = [], [], []
    for row in rows:
        tie = now.get(row.key)
        if tie is None or not _is_ours(tie, row.after, done_at):
            others.append(row.key)
        elif row.before is None or (row.before["company_id"] or "") not in known:
            gone.append(row.key)
        else:
            own = row.before["own_company_id"] or row.before["company_id"]
            tied_at = datetime.fromisoformat(row.before["tied_at"])
            told = {**row.before, "company_id": own, "own_company_id": None, "tied_at": tied_at}
            back.append({"website_id": website_id, "domain": row.key, **told})
    # Where that company was merged meanwhile, it counts for the one that stays.
    back = await landed(connection, website_id, back)
    await drop_ties(connection, website_id, gone)
    await keep_ties(connection, back)
    await relink_domains(connection, website_id, [*gone, *(one["domain"] for one in back)])
    which = others[0] if len(others) == 1 else f"{len(others)} domains"
    were = "was" if len(others) == 1 else "were"
    return [f"{which} {were} tied, ignored or released anew"] if others else []


def _is_ours(tie: StoredRow, told: Row, done_at: datetime) -> bool:
    """Whoever ties anew does it later; a merge moves the company, and that is no new word."""
    own = tie.own_company_id or tie.company_id
    same = own == told["company_id"] and tie.tied_by == told["tied_by"]
    return bool(same and clock.to_ms(tie.tied_at) <= clock.to_ms(done_at))


async def _companies(
    connection: AsyncConnection, website_id: str, rows: Sequence[StoredRow]
) -> set[str]:
    """Of the companies that ties had before those that are there still; "" for none."""
    ids = {row.before["company_id"] for row in rows if row.before and row.before["company_id"]}
    found = await connection.execute(
        select(companies.c.id).where(
            companies.c.website_id == website_id, companies.c.id.in_(sorted(ids))
        )
    )
    return {"", *found.scalars()}


async def _company_back(connection: AsyncConnection, website_id: str, row: StoredRow) -> list[str]:
    c = companies.c
    found = await connection.execute(
        select(companies).where(
            c.website_id == website_id, or_(c.id == row.key, c.merged_into == row.key)
        )
    )
    if any(one.deleted_at is not None for one in found):
        return ["the new company was deleted or merged"]
    told = dict(row.after)
    aliases = told.pop("aliases")
    trace = Trace(row.key, made=True, before=None, after=told, aliases=aliases)
    reason = await take_back_company(connection, website_id, trace)
    return ["the new company was changed or got contacts or domains"] if reason else []


def _few(n: int, noun: str) -> str:
    return f"1 {noun} was" if n == 1 else f"{n:,} {noun}s were"
