"""A contact as the texts of a form, and a changed text as a value again (SPEC V1, M8). Pure.

Fields: those of FIELDS, `emails` and `segments` (one a line, the first address is the main one), `owner`
(an operator's id), `main_company` (a company's id), `attributes.<key>`, and for each membership
`membership.<id>.since`, `.until` (days) and `.gone` (`yes`: it never was one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from app.contacts import lists, phones, readers, values
from app.contacts.addresses import MERGED
from app.contacts.attributes import Attribute
from app.contacts.custom_keys import custom_key
from app.contacts.problems import Wrong
from app.contacts.readers import text_of
from app.db.base import StoredRow
from app.edits.three_way import Invalid
from app.errors import Refused
from app.normal import normal_address

FIELDS: Mapping[str, str] = {
    "name": "name",
    "phone": "phone",
    "avatar": "avatar",
    "job_title": "attributes.job_title",
    "role": "attributes.role",
    "country": "attributes.country",
    "region": "attributes.region",
    "city": "attributes.city",
    "time_zone": "attributes.time_zone",
    "locales": "attributes.locales",
    "signed_up_at": "signed_up_at",
    "last_active_at": "last_active_at",
}
"""A field of the form to the column or attribute that it fills."""
PROFILE_FIELDS = frozenset(f for f, target in FIELDS.items() if target == f"attributes.{f}")
"""Those that are attributes of every contact."""

LABELS: Mapping[str, str] = {
    "name": "Name",
    "emails": "E-mail addresses",
    "phone": "Phone",
    "avatar": "Picture",
    "job_title": "Job title",
    "role": "Role",
    "country": "Country",
    "region": "Region",
    "city": "City",
    "time_zone": "Time zone",
    "locales": "Languages",
    "signed_up_at": "Signed up",
    "last_active_at": "Last active",
    "segments": "Segments",
    "owner": "Owner",
    "main_company": "Main company",
}
ATTRIBUTE = "attributes."
COMPANY_NAME = "attributes.company_name"
MOST_ADDRESSES = 50
_RESERVED = frozenset(t.removeprefix(ATTRIBUTE) for t in (*FIELDS.values(), COMPANY_NAME))
_TIMES = frozenset(readers.TIMES)


@dataclass(frozen=True, slots=True)
class Subject:
    """A stored contact and what surrounds it; `crisp`: by target what Crisp says of it.

    `merged`: addresses in normal form that come from contacts which were merged into it.
    """

    row: StoredRow
    addresses: Sequence[str]
    merged: frozenset[str]
    memberships: Sequence[StoredRow]
    crisp: Mapping[str, Any]
    crisp_address: str | None


@dataclass(frozen=True, slots=True)
class Ways:
    """How texts are read in this website."""

    zone: tzinfo
    defined: Mapping[str, Attribute]


def own_addresses(rows: Sequence[StoredRow], email: str | None) -> list[str]:
    """The main one first, as it was written; without those of merged contacts."""
    main = normal_address(email)
    own = [row.email_norm for row in rows if row.source != MERGED]
    rest = sorted(norm for norm in own if norm != main)
    return [email, *rest] if email and main in own else rest


def at(row: StoredRow, target: str) -> Any:
    if target.startswith(ATTRIBUTE):
        return row.attributes.get(target.removeprefix(ATTRIBUTE))
    return getattr(row, target)


def is_plain(value: Any) -> bool:
    """Whether a form can show and change it: what is nested came from Crisp, and is left alone."""
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return not isinstance(value, dict)


def texts_of(subject: Subject, ways: Ways) -> dict[str, str]:
    row = subject.row
    texts = {name: _shown(at(row, target), ways.zone) for name, target in FIELDS.items()}
    texts |= {
        f"{ATTRIBUTE}{key}": _shown(row.attributes.get(key), ways.zone)
        for key in custom_keys(row.attributes, ways)
    }
    texts["emails"] = "\n".join(subject.addresses)
    texts["segments"] = "\n".join(row.segments)
    texts["owner"] = row.owner_id or ""
    texts["main_company"] = main_company(subject)
    for link in subject.memberships:
        texts[f"membership.{link.id}.since"] = day_of(link.since, ways.zone)
        texts[f"membership.{link.id}.until"] = day_of(link.until, ways.zone)
        texts[f"membership.{link.id}.gone"] = ""
    return texts


def custom_keys(attributes: Mapping[str, Any], ways: Ways) -> list[str]:
    """Of a contact's attributes and those of the website, those that a form has a field for."""
    found = {key for key, value in attributes.items() if is_plain(value)}
    nested = {key for key in attributes if key not in found}
    return sorted((found | set(ways.defined)) - _RESERVED - nested)


def main_company(subject: Subject) -> str:
    """The id of the open one that the contact's own word names, or of none."""
    named = subject.row.attributes.get("company_name")
    for link in subject.memberships:
        if link.until is None and link.name == named:
            return str(link.company_id)
    return ""


def _shown(value: Any, zone: tzinfo) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"
    return text_of(value)


def day_of(moment: datetime | None, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d}" if moment is not None else ""


def label_of(field: str) -> str:
    if field.startswith("membership."):
        return {"since": "From", "until": "Until"}.get(field.rpartition(".")[2], "Company")
    return LABELS.get(field) or field.removeprefix(ATTRIBUTE)


def read_field(field: str, text: str, before: Any, ways: Ways) -> Any:
    """None for an empty text. Raises Invalid."""
    if not text:
        return None
    try:
        return _reader(field, before, ways)(text).value
    except Wrong as wrong:
        raise Invalid({field: _sentence(field, wrong)}) from None


def _sentence(field: str, wrong: Wrong) -> str:
    return f"{label_of(field)}: {wrong.reason} {wrong.suggestion}".strip()


def _reader(field: str, before: Any, ways: Ways) -> readers.Reader:
    if field == "name":
        return lambda text: readers.NAME(" ".join(text.split()))
    if field == "phone":
        return lambda text: phones.phone(text, None)
    target = FIELDS.get(field)
    if target in _TIMES:
        return lambda text: values.moment(text, ways.zone)
    if target is not None:
        return readers.PROFILE[target]
    key = field.removeprefix(ATTRIBUTE)
    known = ways.defined.get(key) or Attribute(key, _kind_of(before))
    if known.type == "multi_choice" and not known.choices:
        return lambda text: values.Read(lists.split(text, "|"))
    return readers.custom_reader(known, ways.zone)


def _kind_of(value: Any) -> str:
    """Crisp's own data says no type: what is a number there stays one."""
    if isinstance(value, bool):
        return "yes_no"
    if isinstance(value, int | float):
        return "decimal"
    return "multi_choice" if isinstance(value, list) else "text"


def read_emails(text: str) -> list[str]:
    """As they were written, each once, the main one first. Raises Invalid."""
    found: dict[str, str] = {}
    for part in lists.split(text, "\n,;"):
        try:
            address = values.address(part)
        except Wrong as wrong:
            raise Invalid({"emails": _sentence("emails", wrong)}) from None
        found.setdefault(normal_address(address) or address, address)
    if len(found) > MOST_ADDRESSES:
        raise Invalid({"emails": f"At most {MOST_ADDRESSES} addresses for one contact."})
    return list(found.values())


def read_segments(text: str) -> list[str]:
    try:
        found: list[str] = readers.segments(text, "\n").value
    except Wrong as wrong:
        raise Invalid({"segments": _sentence("segments", wrong)}) from None
    return found


def read_day(field: str, text: str, ways: Ways) -> datetime | None:
    """The beginning of a day in the website's zone. Raises Invalid."""
    if not text:
        return None
    try:
        found: datetime = values.moment(text, ways.zone).value
    except Wrong as wrong:
        raise Invalid({field: _sentence(field, wrong)}) from None
    return found


def new_key(text: str) -> str:
    """The key of an attribute that is added. Raises Invalid."""
    try:
        key = custom_key(text)
    except Refused as refused:
        raise Invalid({"new_attribute": refused.message}) from None
    if key in _RESERVED:
        raise Invalid({"new_attribute": f"{key} has a field of its own in this form."})
    return key
