"""Making and changing a company by hand (SPEC D6, D7, V2).

Fields of the form: `name`, `domain`, `names` and `domains` (its other ones, one a line), `owner` (an
operator's id), `attributes.<key>`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.companies.by_hand import aliases_of, holders_of
from app.companies.store import Alias
from app.contacts import lists, readers, values
from app.contacts.custom_keys import custom_key
from app.contacts.problems import Wrong
from app.db.base import StoredRow, new_id
from app.edits.authors import told_by
from app.edits.contact_form import is_plain
from app.edits.journal import Kind
from app.edits.merges import require_row
from app.edits.team import require_owner
from app.edits.three_way import Change, Invalid, decide, tidy
from app.errors import Conflict, Refused
from app.ingest import ingest_company_edits
from app.normal import normal_company_name, normal_domain
from app.records import CompanyEdit, Fields
from app.websites.rules import lock_website

LABELS: Mapping[str, str] = {
    "name": "Name",
    "domain": "Domain",
    "names": "Other names",
    "domains": "Other domains",
    "owner": "Owner",
    "attributes.description": "Description",
}
ATTRIBUTE = "attributes."
MOST_ALIASES = 200
LONGEST_NAME = 300


class Taken(Conflict):
    """What somebody wrote is another one's; `holder` is that one's id."""

    def __init__(self, message: str, kind: Kind, holder: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Company:
    """A stored company and what it goes by. `merged`: aliases of companies that were merged into it."""

    row: StoredRow
    aliases: Sequence[Alias]
    merged: Sequence[Alias]


async def load_company(connection: AsyncConnection, website_id: str, company_id: str) -> Company:
    """Raises NotFound."""
    row = await require_row(connection, website_id, "company", company_id)
    rows = await aliases_of(connection, website_id, company_id)
    own = [(alias.kind, alias.value) for alias in rows if alias.own_company_id is None]
    merged = [(alias.kind, alias.value) for alias in rows if alias.own_company_id is not None]
    return Company(row, own, merged)


def texts_of(company: Company) -> dict[str, str]:
    row = company.row
    first = _aliases_of(row.name, row.domain)
    more = [alias for alias in company.aliases if alias not in first]
    texts = {
        "name": row.name,
        "domain": row.domain or "",
        "names": "\n".join(value for kind, value in more if kind == "name"),
        "domains": "\n".join(value for kind, value in more if kind == "domain"),
        "owner": row.owner_id or "",
        "attributes.description": "",
    }
    plain = {key: value for key, value in row.attributes.items() if is_plain(value)}
    return texts | {f"{ATTRIBUTE}{key}": readers.text_of(value) for key, value in plain.items()}


def follows(company: Company) -> dict[str, str]:
    """What was written by hand and Crisp says otherwise: field to Crisp's word."""
    row = company.row
    other = row.crisp_name and row.crisp_name != row.name
    return {"name": row.crisp_name} if other else {}


async def make_company(
    connection: AsyncConnection, website_id: str, told: Mapping[str, str], actor: Actor
) -> str:
    """Its id. `told`: the texts of the form. Raises Invalid, Taken; then nothing is written."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    written = {f: text for f, raw in told.items() if (text := tidy(raw)) and _is_known(f)}
    if "name" not in written and "domain" not in written:
        raise Invalid({"name": "A company needs a name or a domain."})
    fields = _fields(written, {})
    fields["name"] = fields.get("name") or fields["domain"]
    aliases = _wanted_aliases(written, fields["name"], fields.get("domain"), ())
    company_id = new_id()
    added = await _free(connection, website_id, company_id, fields, aliases)
    edit = CompanyEdit(
        company_id,
        fields=fields,
        sources=told_by(actor, [*fields, *(["owner"] if "owner" in written else [])]),
        made=True,
        owner=await require_owner(connection, website_id, written.get("owner", "")),
        added_aliases=tuple(added),
    )
    await ingest_company_edits(connection, website_id, [edit])
    await audit(
        connection, actor, "company.created", website_id=website_id,
        subject=("company", company_id), after=written,
    )  # fmt: skip
    return company_id


async def edit_company(
    connection: AsyncConnection,
    website_id: str,
    company_id: str,
    told: Mapping[str, Change],
    actor: Actor,
    follow: Collection[str] = (),
) -> list[str]:
    """The fields that changed. `follow`: those that take Crisp's word again.

    Raises NotFound, Invalid, Taken, Clashing; then nothing is written.
    """
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    company = await load_company(connection, website_id, company_id)
    require_live(company.row, "company")
    now = texts_of(company)
    crisp = {field: text for field, text in follows(company).items() if field in follow}
    told = {
        **told,
        **{f: Change(text, told[f].was if f in told else None) for f, text in crisp.items()},
    }
    written = {f: text for f, text in decide(now, told, LABELS).items() if _is_known(f)}
    if not written:
        return []
    if "name" in written and not written["name"]:
        raise Invalid({"name": "A company needs a name."})
    fields = _fields(written, company.row.attributes)
    edit = await _edit(connection, website_id, company, written, fields, actor)
    edit.sources.update(dict.fromkeys(set(crisp) & set(fields)))
    await ingest_company_edits(connection, website_id, [edit])
    await audit(
        connection, actor, "company.edited", website_id=website_id,
        subject=("company", company_id),
        before={field: now.get(field, "") for field in written}, after=written,
    )  # fmt: skip
    return sorted(written)


async def _edit(
    connection: AsyncConnection,
    website_id: str,
    company: Company,
    written: Mapping[str, str],
    fields: Fields,
    actor: Actor,
) -> CompanyEdit:
    row = company.row
    name, domain = fields.get("name", row.name), fields.get("domain", row.domain)
    before, main = set(company.aliases), _aliases_of(row.name, row.domain)
    # Its own ones: a name that it shares with another company stays that one's when it takes a new one.
    former = [one for one in company.aliases if one in main or f"{one[0]}s" not in written]
    wanted = _wanted_aliases(written, name, domain, former, before)
    new = [alias for alias in wanted if alias not in before]
    added = await _free(connection, website_id, row.id, {"name": name, "domain": domain}, new)
    owner = None
    if "owner" in written:
        owner = await require_owner(connection, website_id, written["owner"])
    return CompanyEdit(
        row.id,
        fields=fields,
        sources=told_by(actor, [*fields, *(["owner"] if owner else [])]),
        owner=owner,
        added_aliases=tuple(alias for alias in added if alias not in company.merged),
        lost_aliases=tuple(sorted(before - set(wanted))),
    )


def _is_known(field: str) -> bool:
    return field in LABELS or field.startswith(ATTRIBUTE)


def require_live(row: StoredRow, noun: str) -> None:
    """Raises Refused."""
    if row.merged_into is not None:
        raise Refused(f"This {noun} was merged into another one; change that one.")
    if row.deleted_at is not None:
        raise Refused(f"This {noun} is deleted; restore it first.")


def _fields(written: Mapping[str, str], before: Mapping[str, Any]) -> Fields:
    """Column or attribute to value. Raises Invalid with all that is wrong."""
    fields: Fields = {}
    wrong: dict[str, str] = {}
    for field, text in written.items():
        try:
            if field == "name":
                fields[field] = readers.LINE(" ".join(text.split())).value if text else None
            elif field == "domain":
                fields[field] = values.domain(text).value if text else None
            elif field.startswith(ATTRIBUTE):
                key = custom_key(field.removeprefix(ATTRIBUTE))
                fields[f"{ATTRIBUTE}{key}"] = _attribute(text, before.get(key))
        except Wrong as error:
            label = LABELS.get(field, field.removeprefix(ATTRIBUTE))
            wrong[field] = f"{label}: {error.reason} {error.suggestion}".strip()
        except Refused as error:
            wrong["new_attribute"] = error.message
    if wrong:
        raise Invalid(wrong)
    return fields


def _attribute(text: str, before: Any) -> Any:
    if not text:
        return None
    if isinstance(before, list):
        return lists.split(text, "|")
    if isinstance(before, int | float) and not isinstance(before, bool):
        return values.decimal(text).value
    return readers.TEXT(text).value


def _aliases_of(name: str | None, domain: str | None) -> list[Alias]:
    normal = normal_company_name(name or "")
    found: list[Alias] = [("domain", domain)] if domain else []
    return [*found, ("name", normal)] if normal else found


def _wanted_aliases(
    texts: Mapping[str, str],
    name: str | None,
    domain: str | None,
    former: Sequence[Alias],
    before: Collection[Alias] = (),
) -> list[Alias]:
    """Those of its name and domain, `former` ones, so that profiles still find it, and those in `texts`."""
    wanted = dict.fromkeys([*_aliases_of(name, domain), *former])
    for line in lists.split(texts.get("names", ""), "\n"):
        if len(line) > LONGEST_NAME:
            raise Invalid({"names": f"Other names: at most {LONGEST_NAME} characters each."})
        # A long one that is known already ends in a hash, and is not made normal a second time.
        known = ("name", line) in before
        wanted[("name", line if known else normal_company_name(line))] = None
    for line in lists.split(texts.get("domains", ""), "\n, "):
        found = normal_domain(line)
        if found is None or "." not in found:
            raise Invalid({"domains": f"Other domains: {line[:60]} is no domain of a company."})
        wanted[("domain", found)] = None
    if len(wanted) > MOST_ALIASES:
        raise Invalid({"names": f"At most {MOST_ALIASES} names and domains for one company."})
    return list(wanted)


async def _free(
    connection: AsyncConnection,
    website_id: str,
    company_id: str,
    fields: Fields,
    aliases: Sequence[Alias],
) -> list[Alias]:
    """Of these the ones that it can have. Raises Taken for one that says it is another company."""
    found = await holders_of(connection, website_id, aliases)
    own_name = ("name", normal_company_name(fields.get("name") or ""))
    free: list[Alias] = []
    for alias in aliases:
        holder = found.get(alias)
        if holder is None:
            free.append(alias)
        elif holder.id != company_id and not _namesakes(alias, own_name, fields, holder):
            gone = ", which is deleted" if holder.deleted_at is not None else ""
            raise Taken(
                f"{alias[1]} is the {alias[0]} of {holder.name} already{gone}: "
                "open that company, or merge the two.",
                "company",
                holder.id,
            )
    return free


def _namesakes(alias: Alias, own_name: Alias, fields: Fields, holder: StoredRow) -> bool:
    """Two companies may have one name when each has a domain of its own, as in Crisp (SPEC D6)."""
    return alias == own_name and bool(fields.get("domain")) and bool(holder.domain)
