"""Doing what mends conversations without a contact, one by one or a whole group at once (SPEC V5).

wishes.py        what is asked for, and how its effect is told
effects.py       look: what it would do
remedies.py      remedy: does exactly that
leaving.py       the conversations that are left as they are
remedies_undo.py take_remedy_back
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.conversations.tables import link_decisions
from app.db.base import StoredRow, new_id
from app.db.changes import note_changes
from app.db.upsert import Row, upsert
from app.edits.effects import look
from app.edits.leaving import leave_alone
from app.edits.tables import remedies, remedy_rows
from app.edits.ties import make_audited_company, put_ties
from app.edits.wishes import Effect, Wish, chunks
from app.errors import Conflict, Refused
from app.ingest import ingest_edits
from app.matching.link import relink
from app.records import ContactEdit
from app.sources import INFERRED, source
from app.websites.rules import lock_website

ROW_KEY = ("website_id", "remedy_id", "what", "key")


async def remedy(
    connection: AsyncConnection, website_id: str, wish: Wish, digest: str | None, actor: Actor
) -> str:
    """The remedy's id, for `take_remedy_back`. Raises Refused, NotFound.

    `digest`: of the effect that somebody was shown. Raises Conflict where it would be another one now.
    """
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    effect = await look(connection, website_id, wish)
    if digest is not None and digest != effect.digest:
        n, contacts = len(effect.ids), len(effect.new)
        made = f" and {contacts} new contacts" if wish.kind == "create" else ""
        raise Conflict(
            f"It changed since you looked, so nothing was done: it is {n} conversations{made} now."
        )
    if not effect.ids and not effect.domains:
        raise Refused("There is nothing to do: no conversation would change.")
    remedy_id, company_id, rows = new_id(), wish.company_id, []
    if wish.kind == "create":
        rows = await _create(connection, website_id, effect, actor)
    elif wish.kind == "link":
        rows = await _pin(connection, website_id, effect, actor)
    elif wish.kind == "leave":
        told = await leave_alone(connection, website_id, effect.ids, actor)
        rows = [_row("left", one, *states) for one, states in told.items()]
    else:
        company_id, rows = await _tie(connection, website_id, effect, actor)
    await _write(connection, website_id, remedy_id, effect, company_id, actor)
    keyed = [{"website_id": website_id, "remedy_id": remedy_id, **row} for row in rows]
    await upsert(connection, remedy_rows, keyed, key=ROW_KEY)
    await audit(
        connection,
        actor,
        f"unmatched.{_PAST[wish.kind]}",
        website_id=website_id,
        subject=("remedy", remedy_id),
        before={"reason": wish.reason, "domain": wish.domain},
        after={**effect.counts, "contact_id": wish.contact_id, "company_id": company_id},
    )
    return remedy_id


_PAST = {
    "create": "contacts_made",
    "link": "linked",
    "tie": "tied",
    "ignore": "ignored",
    "leave": "left",
}


def _row(what: str, key: str, before: Any, after: Any) -> Row:
    return {"what": what, "key": key, "before": before, "after": after}


async def _create(
    connection: AsyncConnection, website_id: str, effect: Effect, actor: Actor
) -> list[Row]:
    made_by: Any = "api" if actor.kind == "token" else "manual"
    # Of the conversation, and nobody's own word: Crisp's profile may change it.
    told = source(INFERRED, clock.now(), actor.name)
    edits = [
        ContactEdit(
            contact_id=new_id(),
            fields={"name": one.name} if one.name else {},
            sources={"name": told} if one.name else {},
            made_by=made_by,
            email=one.email.strip(),
            segment_sources={},
        )
        for one in effect.new
    ]
    await ingest_edits(connection, website_id, edits)
    return [_row("contact", edit.contact_id, None, None) for edit in edits]


async def _pin(
    connection: AsyncConnection, website_id: str, effect: Effect, actor: Actor
) -> list[Row]:
    """What was decided about these conversations until now goes into the rows."""
    contact_id, moment = effect.wish.contact_id, clock.now()
    d = link_decisions.c
    replaced = or_(d.contact_id == contact_id, d.decision == "pin")
    before: dict[str, list[Row]] = {}
    for row in await decisions_of(connection, website_id, effect.ids):
        if row.contact_id == contact_id or row.decision == "pin":
            before.setdefault(row.conversation_id, []).append(decision_told(row))
    for ids in chunks(effect.ids):
        await connection.execute(
            delete(link_decisions).where(
                d.website_id == website_id, d.conversation_id.in_(ids), replaced
            )
        )
    rows: list[Row] = [
        {
            "website_id": website_id,
            "conversation_id": one,
            "contact_id": contact_id,
            "decision": "pin",
            "decided_by": actor.name,
            "decided_at": moment,
        }
        for one in sorted(effect.ids)
    ]
    key = ("website_id", "conversation_id", "contact_id")
    await upsert(connection, link_decisions, rows, key=key)
    note_changes(connection, "link", website_id, effect.ids)
    await relink(connection, website_id, effect.ids)
    after = {row["conversation_id"]: decision_told(row) for row in rows}
    return [_row("decisions", one, before.get(one, []), after[one]) for one in effect.ids]


async def decisions_of(
    connection: AsyncConnection, website_id: str, ids: Iterable[str]
) -> list[StoredRow]:
    found: list[StoredRow] = []
    for chunk in chunks(ids):
        rows = await connection.execute(
            select(link_decisions).where(
                link_decisions.c.website_id == website_id,
                link_decisions.c.conversation_id.in_(chunk),
            )
        )
        found += rows
    return found


def decision_told(row: Any) -> Row:
    """As JSON; of a stored row or of one that is to be stored."""
    given = row if isinstance(row, dict) else row._asdict()
    names = ("contact_id", "decision", "decided_by")
    return {name: given[name] for name in names} | {"decided_at": given["decided_at"].isoformat()}


async def _tie(
    connection: AsyncConnection, website_id: str, effect: Effect, actor: Actor
) -> tuple[str | None, list[Row]]:
    wish, rows = effect.wish, []
    company_id = wish.company_id
    if wish.company_name is not None:
        made = await make_audited_company(
            connection, website_id, wish.company_name, effect.domains[0], actor
        )
        company_id = made.company_id
        rows.append(_row("company", company_id, None, {**made.after, "aliases": made.aliases}))
    before = await put_ties(connection, website_id, effect.domains, company_id, actor)
    # Ignored conversations leave a list: those who keep a copy hear of that by the tie alone.
    return company_id, rows + [
        _row("tie", domain, tie_told(row), {"company_id": company_id, "tied_by": actor.name})
        for domain, row in before.items()
    ]


def tie_told(row: StoredRow | None) -> Row | None:
    if row is None:
        return None
    names = ("company_id", "own_company_id", "tied_by")
    return {n: getattr(row, n) for n in names} | {"tied_at": row.tied_at.isoformat()}


async def _write(
    connection: AsyncConnection,
    website_id: str,
    remedy_id: str,
    effect: Effect,
    company_id: str | None,
    actor: Actor,
) -> None:
    newest = await connection.scalar(
        select(func.max(remedies.c.number)).where(remedies.c.website_id == website_id)
    )
    wish = effect.wish
    await connection.execute(
        insert(remedies).values(
            website_id=website_id,
            id=remedy_id,
            number=(newest or 0) + 1,
            kind=wish.kind,
            reason=wish.reason,
            domain=wish.domain or (effect.domains[0] if len(effect.domains) == 1 else None),
            contact_id=wish.contact_id,
            company_id=company_id,
            counts=effect.counts,
            done_at=clock.now(),
            done_by=actor.name,
        )
    )
