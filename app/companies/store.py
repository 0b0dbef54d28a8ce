"""Finding or making the companies that profiles name, and who belongs to them since when (SPEC D6, M3).

A company is found by its domain if the profile gives one, else by its normalised name. A profile
with a domain takes over a company that was so far known by that name alone, unless a person merged
or hid that one.

A company that a person merged into another keeps its aliases and its members as its own, and they
count for the other one (app/companies/groups.py): what a profile says of it is written to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.companies.absorb import absorb
from app.companies.groups import landing_of
from app.companies.tables import companies, company_aliases
from app.db.base import StoredRow, new_id
from app.db.changes import note_changes
from app.db.lookup import find_rows
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows, upsert
from app.normal import fold_for_search, normal_company_name
from app.records import CompanyRef
from app.sources import is_by_hand, without

others = companies.alias("others")

Alias = tuple[str, str]  # ("domain" | "name", value)


@dataclass(frozen=True, slots=True)
class Naming:
    """One profile's word about a company; `named_ms` is Crisp's time of the profile."""

    company: CompanyRef
    named_ms: int


async def resolve_companies(
    connection: AsyncConnection, website_id: str, namings: Sequence[Naming]
) -> dict[Alias, str]:
    """Company id by the key of each reference; makes and renames companies as needed.

    The id may be that of a merged or hidden one: `landed` tells where its members go.
    """
    # Domains first: they may take over a company known by name, which a bare name then finds.
    ordered = sorted(namings, key=lambda n: (n.company.domain is None, n.named_ms, n.company.key))
    owners = await _owners(connection, website_id, ordered)
    known_aliases = set(owners)
    known = await _known(connection, website_id, set(owners.values()))
    made: dict[str, Row] = {}
    renamed: dict[str, Row] = {}
    absorbed: dict[str, str] = {}
    for naming in ordered:
        company_id = _find(naming.company, owners, known, made | renamed)
        if company_id is None:
            company_id = _make(website_id, naming, made)
        else:
            heard = _goes_by(naming.company, company_id, owners)
            _rename(
                website_id, company_id, naming, known.get(company_id), made, renamed, heard=heard
            )
        for alias in _aliases(naming.company):
            owners.setdefault(alias, company_id)
        namesake = _known_by_name_alone(naming.company, company_id, owners, known, made | renamed)
        if namesake is not None:
            absorbed[namesake] = company_id
            owners.update({a: company_id for a, owner in owners.items() if owner == namesake})
    await upsert(
        connection,
        companies,
        sorted(made.values(), key=lambda row: str(row["id"])),
        key=("website_id", "id"),
        update=(),
    )
    await update_rows(
        connection,
        companies,
        sorted(renamed.values(), key=lambda row: str(row["id"])),
        key=("website_id", "id"),
    )
    await absorb(connection, website_id, absorbed)
    await _keep_aliases(
        connection, website_id, {a: owner for a, owner in owners.items() if a not in known_aliases}
    )
    named = {company_id for alias, company_id in owners.items() if alias not in known_aliases}
    note_changes(connection, "company", website_id, sorted(named))
    return {naming.company.key: owners[naming.company.key] for naming in ordered}


async def find_companies(
    connection: AsyncConnection, website_id: str, refs: Sequence[CompanyRef]
) -> dict[Alias, StoredRow]:
    """The companies that there are for these references, by the key of each; nothing is made."""
    namings = [Naming(ref, 0) for ref in refs]
    owners = await _owners(connection, website_id, namings)
    known = await _known(connection, website_id, set(owners.values()))
    found = {ref.key: _find(ref, owners, known, {}) for ref in refs}
    return {key: known[company_id] for key, company_id in found.items() if company_id in known}


def _aliases(company: CompanyRef) -> list[Alias]:
    found: list[Alias] = [("domain", company.domain)] if company.domain else []
    name = normal_company_name(company.name or "")
    return [*found, ("name", name)] if name else found


async def _owners(
    connection: AsyncConnection, website_id: str, namings: Sequence[Naming]
) -> dict[Alias, str]:
    wanted = {alias for naming in namings for alias in _aliases(naming.company)}
    return await find_owners(connection, website_id, wanted)


async def find_owners(
    connection: AsyncConnection, website_id: str, aliases: Collection[Alias]
) -> dict[Alias, str]:
    """Whose these aliases are by themselves, merged or not; nobody's are missing."""
    told = ("company_id", "own_company_id")
    rows = await find_rows(
        connection, company_aliases, website_id, ("kind", "value"), sorted(aliases), told
    )
    return {(row.kind, row.value): row.own_company_id or row.company_id for row in rows}


async def _known(
    connection: AsyncConnection, website_id: str, ids: set[str]
) -> dict[str, StoredRow]:
    if not ids:
        return {}
    rows = await connection.execute(
        select(
            *(companies.c[name] for name in _READ),
            or_(
                companies.c.deleted_at.is_not(None),
                exists().where(
                    others.c.website_id == website_id, others.c.merged_into == companies.c.id
                ),
            ).label("decided"),
        ).where(companies.c.website_id == website_id, is_one_of(companies.c.id, ids))
    )
    return {row.id: row for row in rows}


def _find(
    company: CompanyRef,
    owners: Mapping[Alias, str],
    known: Mapping[str, StoredRow],
    written: Mapping[str, Row],
) -> str | None:
    found = owners.get(company.key)
    if found is not None or company.domain is None or not company.name:
        return found
    namesake = owners.get(("name", normal_company_name(company.name)))
    return namesake if namesake and _domain_of(namesake, known, written) is None else None


def _known_by_name_alone(
    company: CompanyRef,
    company_id: str,
    owners: Mapping[Alias, str],
    known: Mapping[str, StoredRow],
    written: Mapping[str, Row],
) -> str | None:
    """Another company, known by this name alone until now, where the domain says which one it is."""
    if company.domain is None or not company.name:
        return None
    namesake = owners[("name", normal_company_name(company.name))]
    if namesake == company_id or _domain_of(namesake, known, written) is not None:
        return None
    if namesake not in known:
        return namesake
    # One that a person made or named does not vanish: only a person merges it.
    stays = known[namesake].decided or is_by_hand(known[namesake].field_sources, "name")
    return None if stays else namesake


def _domain_of(
    company_id: str, known: Mapping[str, StoredRow], written: Mapping[str, Row]
) -> str | None:
    domain: str | None = (
        written[company_id]["domain"] if company_id in written else known[company_id].domain
    )
    return domain


def _make(website_id: str, naming: Naming, made: dict[str, Row]) -> str:
    moment = clock.now()
    name = naming.company.name or naming.company.domain or ""
    row: Row = {
        "website_id": website_id,
        "id": new_id(),
        "name": name,
        "domain": naming.company.domain,
        "attributes": {},
        "created_at": moment,
        "updated_at": moment,
        "search": fold_for_search(name, naming.company.domain),
        "named_ms": naming.named_ms if naming.company.name else 0,
        "crisp_name": naming.company.name if naming.named_ms else None,
        "field_sources": {},
    }
    made[row["id"]] = row
    return str(row["id"])


def _rename(
    website_id: str,
    company_id: str,
    naming: Naming,
    stored: StoredRow | None,
    made: Mapping[str, Row],
    renamed: dict[str, Row],
    *,
    heard: bool,
) -> None:
    """The newest profile's name wins if it is another one than before (SPEC D7); a company known by
    name alone gets its domain.
    """
    current = made.get(company_id) or renamed.get(company_id)
    if current is None and stored is not None:
        current = {
            "website_id": website_id,
            "id": company_id,
            "name": stored.name,
            "domain": stored.domain,
            "named_ms": stored.named_ms,
            "crisp_name": stored.crisp_name,
            "field_sources": stored.field_sources,
            "search": "",
            "updated_at": clock.now(),
        }
    if current is None:
        return
    name, sources = naming.company.name, current["field_sources"]
    domain = current["domain"]
    if domain is None and not is_by_hand(sources, "domain"):
        domain = naming.company.domain
    newer = bool(name) and naming.named_ms >= current["named_ms"]
    before = {field: current[field] for field in _NAMED}
    after = {**before, "domain": domain}
    if newer:
        after["named_ms"] = naming.named_ms
        if _may_rename(naming, before, heard=heard):
            after |= {"name": name, "field_sources": without(sources, ("name",))}
        if naming.named_ms:  # a file's word is none of Crisp's
            after["crisp_name"] = name
    if after == before:
        return
    current.update(after)
    current["search"] = fold_for_search(current["name"], domain)
    if company_id not in made:
        renamed[company_id] = current


def _goes_by(company: CompanyRef, company_id: str, owners: Mapping[Alias, str]) -> bool:
    return owners.get(("name", normal_company_name(company.name or ""))) == company_id


def _may_rename(naming: Naming, before: Row, *, heard: bool) -> bool:
    """What a person wrote stays until Crisp tells a name that was not heard before (SPEC D7).

    Its people may spell one company in many ways, and the first time of telling changes nothing.
    """
    if is_by_hand(before["field_sources"], "name"):
        return bool(naming.named_ms and before["crisp_name"]) and not heard
    return not naming.named_ms or naming.company.name != before["crisp_name"]


_NAMED = ("name", "domain", "named_ms", "crisp_name", "field_sources")
_READ = ("id", "attributes", "deleted_at", *_NAMED)


async def _keep_aliases(
    connection: AsyncConnection, website_id: str, owners: Mapping[Alias, str]
) -> None:
    landing = await landing_of(connection, website_id, set(owners.values()))
    rows = [
        {
            "website_id": website_id,
            "kind": kind,
            "value": value,
            "company_id": landing.get(company_id, company_id),
            "own_company_id": company_id if company_id in landing else None,
        }
        for (kind, value), company_id in sorted(owners.items())
    ]
    key = ("website_id", "kind", "value")
    await upsert(connection, company_aliases, rows, key=key, update=(), quiet=True)
