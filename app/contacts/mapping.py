"""Which Crisp field becomes which field of a contact (SPEC D, D1), and the company a profile names (D6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.clock import from_ms
from app.normal import normal_company_name, normal_domain
from app.records import CompanyRef, Fields

DEFAULT: Mapping[str, str] = {
    "email": "email",
    "person.nickname": "name",
    "person.phone": "phone",
    "person.avatar": "avatar",
    "person.employment.title": "attributes.job_title",
    "company_name": "attributes.company_name",
    "person.geolocation.country": "attributes.country",
    "person.geolocation.city": "attributes.city",
    "active.last": "last_active_at",
    "created_at": "signed_up_at",
}
"""Crisp's path in a profile to a column of a contact or `attributes.<key>`."""

COLUMNS = ("email", "name", "phone", "avatar", "last_active_at", "signed_up_at")
_TIMES = frozenset({"last_active_at", "signed_up_at"})
COMPUTED = "company_name"
_COMPANY_NAMES = ("company.name", "person.employment.name")

Mapped = dict[str, Any]


def effective(overrides: Mapping[str, str | None]) -> dict[str, str]:
    """The default with a website's own choices over it; a path set to None is left out."""
    chosen = {**DEFAULT, **overrides}
    return {path: target for path, target in chosen.items() if target is not None}


def map_fields(mapping: Mapping[str, str], fields: Fields, paths: Iterable[str]) -> Mapped:
    """Target to value, for those of `paths` that the mapping wants."""
    mapped: Mapped = {}
    for path in paths:
        target = mapping.get(path)
        if target is None and path.startswith("data."):
            target = f"attributes.{path}"
        if target is not None:
            value = fields.get(path)
            mapped[target] = from_ms(value) if target in _TIMES else value
    return mapped


def with_computed(fields: Fields) -> Fields:
    """The fields plus `company_name`: the company's name, else the employer's."""
    if not any(path in fields for path in _COMPANY_NAMES):
        return fields
    name = next((fields[path] for path in _COMPANY_NAMES if fields.get(path)), None)
    return {**fields, COMPUTED: name}


def company_of(fields: Fields) -> CompanyRef | None:
    """From the profile's company, else from its employment (SPEC D6)."""
    for prefix in ("company", "person.employment"):
        name = fields.get(f"{prefix}.name")
        domain = normal_domain(fields.get(f"{prefix}.domain"))
        if (name and normal_company_name(name)) or domain:
            return CompanyRef(name, domain)
    return None


def apply(mapped: Mapped, columns: Fields, attributes: Fields) -> None:
    """Set what `mapped` says; an emptied attribute goes away."""
    for target, value in mapped.items():
        if not target.startswith("attributes."):
            columns[target] = value
            continue
        key = target.removeprefix("attributes.")
        if value is None:
            attributes.pop(key, None)
        else:
            attributes[key] = value
