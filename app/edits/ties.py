"""A person ties an e-mail domain to a company, ignores it, or takes that back (SPEC M9, V5).

Subdomains are domains of their own: `ann@mail.acme.example` is not of `acme.example`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.companies.edited import Trace
from app.companies.free_mail import is_free_mail
from app.companies.made import make_company
from app.companies.ties import drop_ties, find_ties, keep_ties
from app.db.base import StoredRow
from app.edits.merges import require_row
from app.errors import NotFound, Refused
from app.matching.link import conversations_of_domains, relink
from app.normal import mail_domain
from app.websites.rules import lock_website


async def tie_domain(
    connection: AsyncConnection, website_id: str, typed: str, company_id: str, actor: Actor
) -> str:
    """Its conversations belong to the company, whether they have a contact or not; the domain."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    domain = require_company_domain(typed)
    await require_live_company(connection, website_id, company_id)
    await put_ties(connection, website_id, [domain], company_id, actor)
    return domain


async def tie_new_company(
    connection: AsyncConnection, website_id: str, typed: str, name: str, actor: Actor
) -> str:
    """The same with a company that is made for it; its id."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    domain = require_company_domain(typed)
    made = await make_audited_company(connection, website_id, name, domain, actor)
    await put_ties(connection, website_id, [domain], made.company_id, actor)
    return made.company_id


async def make_audited_company(
    connection: AsyncConnection, website_id: str, name: str, domain: str, actor: Actor
) -> Trace:
    """As `make_company`."""
    made = await make_company(connection, website_id, name, domain)
    await audit(
        connection,
        actor,
        "company.made",
        website_id=website_id,
        subject=("company", made.company_id),
        after={"name": made.after["name"], "domain": domain},
    )
    return made


async def ignore_domain(
    connection: AsyncConnection, website_id: str, typed: str, actor: Actor
) -> str:
    """Its conversations are not asked about any more; the domain. Of free mail too."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    domain = require_domain(typed)
    await put_ties(connection, website_id, [domain], None, actor)
    return domain


async def release_domain(
    connection: AsyncConnection, website_id: str, typed: str, actor: Actor
) -> None:
    """Neither tied nor ignored any more. Raises NotFound where it is neither."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    domain = require_domain(typed)
    before = (await find_ties(connection, website_id, [domain])).get(domain)
    if before is None:
        raise NotFound(f"{domain} is not tied to a company, and not ignored.")
    await drop_ties(connection, website_id, [domain])
    await relink_domains(connection, website_id, [domain])
    change = (_was(before), _was(None))
    await _note(connection, website_id, domain, actor, "domain.released", change)


def require_domain(typed: str) -> str:
    """In the form in which addresses are compared. Raises Refused."""
    domain = mail_domain(typed)
    if domain is None or "." not in domain or not domain.isprintable():
        raise Refused("That is no e-mail domain: write it like acme.example.")
    return domain


def require_company_domain(typed: str) -> str:
    """Raises Refused, also for free mail."""
    domain = require_domain(typed)
    if is_free_mail(domain):
        raise Refused(
            f"{domain} is a free-mail domain: anybody can have an address there, so it says "
            "nothing about a company."
        )
    return domain


async def require_live_company(
    connection: AsyncConnection, website_id: str, company_id: str
) -> StoredRow:
    """Raises NotFound, Refused."""
    row = await require_row(connection, website_id, "company", company_id)
    if row.merged_into is not None:
        raise Refused("That company was merged into another one; choose the one that stays.")
    if row.deleted_at is not None:
        raise Refused("That company is deleted; restore it first.")
    return row


async def put_ties(
    connection: AsyncConnection,
    website_id: str,
    domains: Collection[str],
    company_id: str | None,
    actor: Actor,
) -> dict[str, StoredRow | None]:
    """To one company, or ignored; what those that were others before had until now, by domain.

    The caller holds the lock and has checked domains and company.
    """
    found = await find_ties(connection, website_id, domains)
    changed = {
        domain: found.get(domain)
        for domain in sorted(domains)
        if domain not in found or found[domain].company_id != company_id
    }
    moment = clock.now()
    rows = [
        {
            "website_id": website_id,
            "domain": domain,
            "company_id": company_id,
            "own_company_id": None,
            "tied_by": actor.name,
            "tied_at": moment,
        }
        for domain in changed
    ]
    await keep_ties(connection, rows)
    await relink_domains(connection, website_id, changed)
    action = "domain.ignored" if company_id is None else "domain.tied"
    for domain, before in changed.items():
        after = _told(there=True, company_id=company_id)
        await _note(connection, website_id, domain, actor, action, (_was(before), after))
    return changed


async def relink_domains(
    connection: AsyncConnection, website_id: str, domains: Collection[str]
) -> None:
    if domains:
        touched = await conversations_of_domains(connection, website_id, domains)
        await relink(connection, website_id, touched)


async def _note(
    connection: AsyncConnection,
    website_id: str,
    domain: str,
    actor: Actor,
    action: str,
    change: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    before, after = change
    subject = ("domain", domain)
    await audit(
        connection,
        actor,
        action,
        website_id=website_id,
        subject=subject,
        before=before,
        after=after,
    )


def _was(row: StoredRow | None) -> dict[str, Any]:
    return _told(there=row is not None, company_id=row.company_id if row is not None else None)


def _told(*, there: bool, company_id: str | None) -> dict[str, Any]:
    return {"company_id": company_id, "ignored": there and company_id is None}
