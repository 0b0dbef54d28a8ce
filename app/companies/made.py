"""A company that a person makes; one that is there already is never renamed or joined by that."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.edited import Trace
from app.companies.store import Naming, find_companies, resolve_companies
from app.errors import Conflict, Refused
from app.normal import normal_company_name
from app.records import CompanyRef

LONGEST_NAME = 200


async def make_company(
    connection: AsyncConnection, website_id: str, name: str, domain: str
) -> Trace:
    """What `take_back_company` takes back. Raises Refused, Conflict where one has that name or domain."""
    name = await check_new_company(connection, website_id, name, domain)
    ref = CompanyRef(name, domain)
    ids = await resolve_companies(connection, website_id, [Naming(ref, 0)])
    after = {"name": name, "domain": domain, "attributes": {}}
    aliases = [["domain", domain], ["name", normal_company_name(name)]]
    return Trace(ids[ref.key], made=True, before=None, after=after, aliases=aliases)


async def check_new_company(
    connection: AsyncConnection, website_id: str, name: str, domain: str
) -> str:
    """The name as it would be written. Raises as `make_company`."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused(f"A company needs a name of 1 to {LONGEST_NAME} letters.")
    by_name, by_domain = CompanyRef(name, None), CompanyRef(None, domain)
    found = await find_companies(connection, website_id, [by_domain, by_name])
    for ref, what in ((by_domain, "domain"), (by_name, "name")):
        if ref.key in found:
            there = found[ref.key]
            state = ", which is deleted or merged" if there.deleted_at else ""
            raise Conflict(f"{there.name} has this {what} already{state}; choose that company.")
    return name
