"""What a remedy for conversations without a contact would do: looked at by the pages before, and by whoever does it.

One look, so that a preview cannot promise anything else than what is then done (SPEC V5).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.free_mail import is_free_mail
from app.companies.made import check_new_company
from app.companies.ties import find_ties
from app.contacts.erased import find_erased
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations
from app.db.base import StoredRow
from app.edits.merges import require_row
from app.edits.ties import require_company_domain, require_domain, require_live_company
from app.edits.wishes import (
    MOST,
    Effect,
    Kept,
    NewContact,
    Wish,
    check_wish,
    chunks,
    conversations_meant,
)
from app.errors import Refused
from app.matching.link import conversations_of_domains
from app.matching.statements import domain_of

_ANONYMOUS = re.compile(r"visitor\d*", re.IGNORECASE)

_c = conversations.c


async def look(connection: AsyncConnection, website_id: str, wish: Wish) -> Effect:
    """Raises Refused, NotFound where the wish itself is wrong."""
    check_wish(wish)
    if wish.kind == "link":
        contact = await require_row(connection, website_id, "contact", wish.contact_id or "")
        if contact.deleted_at is not None:
            raise Refused("That contact is deleted or merged into another one; choose a live one.")
    if wish.company_id is not None:
        await require_live_company(connection, website_id, wish.company_id)
    effect = Effect(wish)
    if wish.kind in {"tie", "ignore"}:
        await _look_at_domains(connection, website_id, effect)
        return effect
    rows = await _chosen(connection, website_id, effect)
    if wish.kind == "leave":
        effect.ids = [row.id for row in rows]
        return effect
    erased = await find_erased(connection, website_id, _addresses(rows))
    if wish.kind == "link":
        effect.ids = [row.id for row in rows if row.email_norm not in erased]
        _refuse(effect, rows, dict.fromkeys(erased, _ERASED))
    else:
        await _look_at_addresses(connection, website_id, effect, rows, erased)
    return effect


_ERASED = "Whoever has this address was erased, and stays out."
_REMOVED = "It is an address of a removed contact; restore that one instead."
_KNOWN = "A contact has this address already."
_NAMELESS = "Without an address there is nothing to make a contact of."
_FREE = "Free mail: anybody can have an address there."


async def _chosen(connection: AsyncConnection, website_id: str, effect: Effect) -> list[StoredRow]:
    """Those of the wish that have no contact, newest first."""
    where = conversations_meant(website_id, effect.wish)
    rows = await connection.execute(
        select(_c.id, _c.email, _c.email_norm, _c.nickname)
        .where(*where)
        .order_by(_c.crisp_updated_at.desc().nulls_last(), _c.id)
        .limit(MOST + 1)
    )
    found = list(rows)
    if len(found) > MOST:
        count = await connection.scalar(
            select(func.count()).select_from(conversations).where(*where)
        )
        effect.more = (count or 0) - MOST
    return found[:MOST]


async def _look_at_addresses(
    connection: AsyncConnection,
    website_id: str,
    effect: Effect,
    rows: list[StoredRow],
    erased: Collection[str],
) -> None:
    known = await _holders(connection, website_id, _addresses(rows))
    reasons = known | dict.fromkeys(erased, _ERASED)
    named: dict[str, NewContact] = {}
    for row in rows:
        address = row.email_norm
        if address is None or address in reasons:
            continue
        effect.ids.append(row.id)
        earlier = named.get(address)
        if earlier is None or earlier.name is None:
            email = earlier.email if earlier else row.email
            named[address] = NewContact(address, email, _name(row.nickname))
    effect.new = [named[address] for address in sorted(named)]
    _refuse(effect, rows, reasons)


def _name(nickname: str | None) -> str | None:
    """What Crisp knows as the visitor's name; not what it calls those who gave none."""
    name = (nickname or "").strip()
    return None if not name or _ANONYMOUS.fullmatch(name) or "@" in name else name


async def _holders(
    connection: AsyncConnection, website_id: str, addresses: Iterable[str]
) -> dict[str, str]:
    """Of these addresses those that contacts have, and why no other is made for them."""
    e = contact_emails.c
    live = func.max(case((contacts.c.deleted_at.is_(None), 1), else_=0)).label("live")
    same = and_(contacts.c.website_id == e.website_id, contacts.c.id == e.contact_id)
    found: dict[str, str] = {}
    for chunk in chunks(addresses):
        rows = await connection.execute(
            select(e.email_norm, live)
            .join_from(contact_emails, contacts, same)
            .where(e.website_id == website_id, e.email_norm.in_(chunk))
            .group_by(e.email_norm)
        )
        found |= {row.email_norm: _KNOWN if row.live else _REMOVED for row in rows}
    return found


def _addresses(rows: Iterable[StoredRow]) -> set[str]:
    return {row.email_norm for row in rows if row.email_norm is not None}


def _refuse(effect: Effect, rows: Iterable[StoredRow], reasons: dict[str, str]) -> None:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.email_norm or ""] = counts.get(row.email_norm or "", 0) + 1
    if counts.get("") and effect.wish.kind == "create":
        reasons = {**reasons, "": _NAMELESS}
    effect.refused += [
        Kept(address, counts[address], reasons[address])
        for address in sorted(counts)
        if address in reasons
    ]


async def _look_at_domains(connection: AsyncConnection, website_id: str, effect: Effect) -> None:
    """All conversations of the domains, whatever was chosen of them: a domain is one thing."""
    wish = effect.wish
    tie = wish.kind == "tie"
    counts: dict[str, int] = {}
    if wish.ids:
        for row in await _chosen(connection, website_id, effect):
            domain = (row.email_norm or "").rpartition("@")[2]
            counts[domain] = counts.get(domain, 0) + 1
    else:
        require = require_company_domain if tie else require_domain
        counts[require(wish.domain or "")] = 0
    known = await find_ties(connection, website_id, list(counts))
    for domain, n in sorted(counts.items()):
        if not domain:
            effect.refused.append(Kept("", n, "Without an address there is no domain."))
        elif tie and is_free_mail(domain):
            effect.refused.append(Kept(domain, n, _FREE))
        elif domain not in known or known[domain].company_id != wish.company_id:
            effect.domains.append(domain)
    if wish.company_name is not None and effect.domains:
        await check_new_company(connection, website_id, wish.company_name, effect.domains[0])
    ids = await conversations_of_domains(connection, website_id, effect.domains)
    await _keep_live(connection, website_id, effect, ids)


async def _keep_live(
    connection: AsyncConnection, website_id: str, effect: Effect, ids: Collection[str]
) -> None:
    """`ignore` is about those without a contact only."""
    if not ids:
        return
    only = [_c.contact_id.is_(None)] if effect.wish.kind == "ignore" else []
    rows: list[Any] = list(
        await connection.execute(
            select(_c.id, _c.contact_id)
            .where(
                _c.website_id == website_id,
                _c.deleted_at.is_(None),
                domain_of(_c.email_norm).in_(effect.domains),
                *only,
            )
            .order_by(_c.crisp_updated_at.desc().nulls_last(), _c.id)
        )
    )
    effect.ids = [row.id for row in rows]
    effect.matched = sum(1 for row in rows if row.contact_id is not None)
