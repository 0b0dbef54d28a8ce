"""The companies of a contact, since when and until when, as a person tells them (SPEC M3, M8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.companies.by_hand import holders_of
from app.companies.store import Alias
from app.db.base import StoredRow
from app.edits.companies import make_company
from app.edits.contact_form import Subject, Ways, read_day
from app.edits.merges import require_row
from app.edits.three_way import Invalid
from app.normal import normal_company_name, normal_domain
from app.records import MembershipEdit


@dataclass(frozen=True, slots=True)
class Joining:
    """A company that a contact joins: by its id, or by a name or domain; days as texts."""

    name: str = ""
    domain: str = ""
    company_id: str = ""
    since: str = ""
    until: str = ""
    main: bool = False

    @property
    def named(self) -> str:
        return self.name or self.domain or self.company_id


@dataclass(frozen=True, slots=True)
class Changed:
    """`open`: company id and name of those that the contact belongs to afterwards, the main one first."""

    edits: tuple[MembershipEdit, ...]
    dropped: tuple[str, ...]
    open: tuple[tuple[str, str], ...]
    main: str | None = None


async def changed_memberships(
    connection: AsyncConnection,
    website_id: str,
    subject: Subject,
    texts: Mapping[str, str],
    joins: Sequence[Joining],
    ways: Ways,
    actor: Actor,
) -> Changed:
    """Raises Invalid, NotFound. A company that nobody knows yet is made."""
    dropped = [m.id for m in subject.memberships if texts.get(f"membership.{m.id}.gone") == "yes"]
    stay = [m for m in subject.memberships if m.id not in dropped]
    edits = [edit for link in stay if (edit := _changed(link, texts, ways)) is not None]
    ends = {edit.membership_id: edit.until for edit in edits}
    opened = {m.company_id: m.name for m in stay if ends.get(m.id, m.until) is None}
    main = None
    for join in joins:
        company_id, name = await _company(connection, website_id, join, actor)
        if company_id in opened:
            continue
        since = read_day("joins", join.since, ways)
        until = read_day("joins", join.until, ways)
        _check("joins", since, until)
        edits.append(MembershipEdit(company_id, since, until, limits=since is not None))
        if until is None:
            opened[company_id] = name
            main = company_id if join.main else main
    return Changed(tuple(edits), tuple(dropped), tuple(opened.items()), main)


def _changed(link: StoredRow, texts: Mapping[str, str], ways: Ways) -> MembershipEdit | None:
    here = f"membership.{link.id}"
    told = {
        part: texts[f"{here}.{part}"] for part in ("since", "until") if f"{here}.{part}" in texts
    }
    if not told:
        return None
    since, until, limits = link.since, link.until, link.replaced_another
    if "since" in told:
        since = read_day(f"{here}.since", told["since"], ways) or link.since
        limits = bool(told["since"])
    if "until" in told:
        until = read_day(f"{here}.until", told["until"], ways)
    _check(f"{here}.until", since if limits else None, until)
    return MembershipEdit(link.company_id, since, until, limits, link.id)


def _check(field: str, since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and until <= since:
        raise Invalid(
            {field: "A contact leaves a company after it joined it: the days are crossed."}
        )


def main_after(subject: Subject, texts: Mapping[str, str], changed: Changed) -> str | None:
    """The name of the main company, empty for none; None when that stays as it is. Raises Invalid."""
    opened = dict(changed.open)
    if changed.main is not None:
        return opened[changed.main]
    if "main_company" in texts:
        chosen = texts["main_company"]
        if chosen and chosen not in opened:
            raise Invalid(
                {"main_company": "The main company must be one that the contact is in now."}
            )
        return opened.get(chosen, "")
    before = subject.row.attributes.get("company_name")
    left = {m.name for m in subject.memberships} - set(opened.values())
    if before in left or (not before and not subject.memberships and opened):
        return next(iter(opened.values()), "")
    return None


async def _company(
    connection: AsyncConnection, website_id: str, join: Joining, actor: Actor
) -> tuple[str, str]:
    """The id and name of the company that is meant, made where nobody knows it. Raises Invalid, NotFound."""
    row: StoredRow | None
    if join.company_id:
        row = await require_row(connection, website_id, "company", join.company_id)
    else:
        row = await _known(connection, website_id, join)
    if row is None:
        return await _made(connection, website_id, join, actor), join.named
    if row.deleted_at is not None:
        raise Invalid({"joins": f"The company {row.name} is deleted or merged; restore it first."})
    return row.id, row.name


async def _known(connection: AsyncConnection, website_id: str, join: Joining) -> StoredRow | None:
    name = normal_company_name(join.name)
    domain = normal_domain(join.domain) or _domain_in(join.name)
    asked: list[Alias] = [("domain", domain)] if domain else []
    if name and not join.domain:
        asked.append(("name", name))
    found = await holders_of(connection, website_id, asked)
    return next((found[alias] for alias in asked if alias in found), None)


async def _made(connection: AsyncConnection, website_id: str, join: Joining, actor: Actor) -> str:
    texts = {"name": join.name, "domain": join.domain}
    if not join.domain and (domain := _domain_in(join.name)):
        texts = {"domain": domain}
    try:
        return await make_company(connection, website_id, texts, actor)
    except Invalid as invalid:
        raise Invalid({"joins": f"{join.named[:60]}: {invalid.message}"}) from None


def _domain_in(name: str) -> str | None:
    """`acme.example` where somebody wrote a domain instead of a name."""
    text = name.strip()
    if "." not in text or " " in text:
        return None
    found = normal_domain(text)
    last = (found or "").rpartition(".")[2]
    return found if last.isalpha() or last.startswith("xn--") else None
