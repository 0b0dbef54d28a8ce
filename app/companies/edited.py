"""Memberships and companies as a file or a person tells them, and taking that back (SPEC D6, M3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.companies.groups import landed
from app.companies.store import (
    Alias,
    Naming,
    find_companies,
    find_owners,
    resolve_companies,
)
from app.companies.tables import companies, company_aliases, contact_companies, domain_ties
from app.db.base import new_id
from app.db.changes import note_changes
from app.db.lookup import find_rows
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows, upsert
from app.normal import fold_for_search, normal_company_name
from app.records import CompanyRef

_KEY = ("website_id", "id")
# What a file says of a company gives way to the name that Crisp told, however old that is.
_NEVER_NEWER_THAN_CRISP = 0


@dataclass(frozen=True, slots=True)
class Joining:
    """`since`: from when a first company counts; one that `replaces` another counts from now on."""

    contact_id: str
    company: CompanyRef
    source: str
    since: datetime
    replaces: bool
    described: str | None = None
    opens: bool = True
    membership_id: str | None = None


@dataclass(slots=True)
class Trace:
    """What was done to one company: made, or changed from `before` to `after`, with more aliases."""

    company_id: str
    made: bool
    before: dict[str, Any] | None
    after: dict[str, Any]
    aliases: list[list[str]] = field(default_factory=list)


async def join_companies(
    connection: AsyncConnection, website_id: str, joinings: Sequence[Joining]
) -> tuple[dict[str, str], list[Trace]]:
    """Find, make and describe the companies, open the memberships: membership id by contact, traces."""
    if not joinings:
        return {}, []
    refs = fully_named([joining.company for joining in joinings])
    earlier = await find_companies(connection, website_id, refs)
    before = await _states(connection, website_id, [row.id for row in earlier.values()])
    aliases = await _aliases(connection, website_id, refs)
    namings = [Naming(_unmerging(ref, aliases), _NEVER_NEWER_THAN_CRISP) for ref in refs]
    ids = await resolve_companies(connection, website_id, namings)
    await _describe(connection, website_id, ids, joinings)
    opened = await _open(connection, website_id, ids, joinings)
    after = await _states(connection, website_id, list(ids.values()))
    added = _added(refs, ids, aliases)
    traces = [
        Trace(company_id, company_id not in before, before.get(company_id), state, new)
        for company_id, state in sorted(after.items())
        if (new := added.get(company_id, [])) or state != before.get(company_id)
    ]
    return opened, traces


def fully_named(refs: Sequence[CompanyRef]) -> list[CompanyRef]:
    """Each company once; of several words for one domain the first that has a name."""
    found: dict[Alias, CompanyRef] = {}
    for ref in refs:
        if ref.key not in found or not found[ref.key].name:
            found[ref.key] = ref
    return list(found.values())


def _unmerging(ref: CompanyRef, owners: Mapping[Alias, str]) -> CompanyRef:
    """Without its name where that is another company's: a file does not merge two companies."""
    if ref.domain is None or not ref.name:
        return ref
    by_domain = owners.get(ref.key)
    by_name = owners.get(("name", normal_company_name(ref.name)))
    if by_domain is None or by_name is None or by_domain == by_name:
        return ref
    return CompanyRef(None, ref.domain)


async def _states(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    asked = [(company_id,) for company_id in sorted(set(ids))]
    told = ("name", "domain", "attributes")
    rows = await find_rows(connection, companies, website_id, ("id",), asked, told)
    return {
        row.id: {"name": row.name, "domain": row.domain, "attributes": row.attributes}
        for row in rows
    }


def _named(ref: CompanyRef) -> list[Alias]:
    name = normal_company_name(ref.name or "")
    found: list[Alias] = [("domain", ref.domain)] if ref.domain else []
    return [*found, ("name", name)] if name else found


async def _aliases(
    connection: AsyncConnection, website_id: str, refs: Sequence[CompanyRef]
) -> dict[Alias, str]:
    return await find_owners(connection, website_id, {a for ref in refs for a in _named(ref)})


def _added(
    refs: Sequence[CompanyRef], ids: Mapping[Alias, str], known: Mapping[Alias, str]
) -> dict[str, list[list[str]]]:
    added: dict[str, dict[Alias, None]] = {}
    for ref in refs:
        for alias in _named(ref):
            if alias not in known:
                added.setdefault(ids[ref.key], {})[alias] = None
    return {company_id: [list(alias) for alias in new] for company_id, new in added.items()}


async def _describe(
    connection: AsyncConnection,
    website_id: str,
    ids: Mapping[Alias, str],
    joinings: Sequence[Joining],
) -> None:
    told: dict[str, str] = {}
    for joining in joinings:
        if joining.described is not None:
            # A new company may be named in two ways: the first row decides.
            told.setdefault(ids[joining.company.key], joining.described)
    states = await _states(connection, website_id, list(told))
    rows: list[Row] = [
        {
            "website_id": website_id,
            "id": company_id,
            "attributes": {**states[company_id]["attributes"], "description": description},
            "updated_at": clock.now(),
        }
        for company_id, description in sorted(told.items())
    ]
    await update_rows(connection, companies, rows, key=_KEY)


async def _open(
    connection: AsyncConnection,
    website_id: str,
    ids: Mapping[Alias, str],
    joinings: Sequence[Joining],
) -> dict[str, str]:
    moment = clock.now()
    rows: list[Row] = [
        {
            "website_id": website_id,
            "id": joining.membership_id or new_id(),
            "contact_id": joining.contact_id,
            "company_id": ids[joining.company.key],
            "source": joining.source,
            "since": moment if joining.replaces else joining.since,
            "until": None,
            "replaced_another": joining.replaces,
        }
        for joining in joinings
        if joining.opens
    ]
    await upsert(
        connection, contact_companies, await landed(connection, website_id, rows), key=_KEY
    )
    return {row["contact_id"]: row["id"] for row in rows}


async def end_memberships(
    connection: AsyncConnection, website_id: str, ids: Sequence[str], until: datetime | None
) -> None:
    """Close them, or open them again with None."""
    rows: list[Row] = [
        {"website_id": website_id, "id": one, "until": until} for one in sorted(set(ids))
    ]
    await update_rows(connection, contact_companies, rows, key=_KEY)


async def drop_memberships(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> None:
    if ids:
        await connection.execute(
            delete(contact_companies).where(
                contact_companies.c.website_id == website_id, contact_companies.c.id.in_(ids)
            )
        )
    note_changes(connection, "membership", website_id, ids)


async def take_back_company(
    connection: AsyncConnection, website_id: str, trace: Trace
) -> str | None:
    """Delete a company that was made, or give it back what it had; why not, where others use it since."""
    now = (await _states(connection, website_id, [trace.company_id])).get(trace.company_id)
    if now is None:
        return None
    if now != trace.after:
        return f"The company {now['name']} was changed since and stays."
    if trace.made:
        return await _delete_made(connection, website_id, trace)
    if trace.before is not None and trace.before != trace.after:
        row: Row = {
            "website_id": website_id,
            "id": trace.company_id,
            **trace.before,
            "search": fold_for_search(trace.before["name"], trace.before["domain"]),
            "updated_at": clock.now(),
        }
        await update_rows(connection, companies, [row], key=_KEY)
    await _drop_aliases(connection, website_id, trace)
    return None


async def _delete_made(connection: AsyncConnection, website_id: str, trace: Trace) -> str | None:
    if trace.company_id in await companies_in_use(connection, website_id, [trace.company_id]):
        return f"The company {trace.after['name']} has other contacts or domains since and stays."
    await delete_companies(connection, website_id, [trace.company_id])
    return None


async def companies_in_use(
    connection: AsyncConnection, website_id: str, ids: Collection[str]
) -> set[str]:
    """Of these the ones with contacts, past ones too, with domains tied to them, an owner, or others
    merged into them.
    """
    c, link, other = companies.c, contact_companies.c, companies.alias().c
    uses = (
        exists().where(
            link.website_id == website_id, or_(link.company_id == c.id, link.own_company_id == c.id)
        ),
        exists().where(domain_ties.c.website_id == website_id, domain_ties.c.company_id == c.id),
        exists().where(other.website_id == website_id, other.merged_into == c.id),
        c.owner_id.is_not(None),
    )
    rows = await connection.execute(
        select(c.id).where(c.website_id == website_id, is_one_of(c.id, sorted(ids)), or_(*uses))
    )
    return set(rows.scalars())


async def delete_companies(
    connection: AsyncConnection, website_id: str, ids: Collection[str]
) -> None:
    """Companies that nobody uses, and what they go by."""
    await connection.execute(
        delete(companies).where(
            companies.c.website_id == website_id, is_one_of(companies.c.id, sorted(ids))
        )
    )
    note_changes(connection, "company", website_id, sorted(ids))


async def _drop_aliases(connection: AsyncConnection, website_id: str, trace: Trace) -> None:
    for kind, value in trace.aliases:
        await connection.execute(
            delete(company_aliases).where(
                company_aliases.c.website_id == website_id,
                company_aliases.c.kind == kind,
                company_aliases.c.value == value,
                func.coalesce(company_aliases.c.own_company_id, company_aliases.c.company_id)
                == trace.company_id,
            )
        )
    note_changes(connection, "company", website_id, [trace.company_id])
