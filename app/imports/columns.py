"""Which field each column of a file fills, and whether such a mapping can be used (SPEC I2 to I4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.contacts.custom_keys import custom_key
from app.errors import Refused

FIELDS: Mapping[str, str] = {
    "email": "E-mail",
    "first_name": "First name",
    "last_name": "Last name",
    "name": "Full name",
    "phone": "Phone",
    "avatar": "Avatar (address of a picture)",
    "job_title": "Job title",
    "role": "Role",
    "company_name": "Company name",
    "company_url": "Company URL",
    "company_description": "Company description",
    "country": "Country",
    "region": "Region",
    "city": "City",
    "time_zone": "Time zone",
    "locales": "Locales",
    "segments": "Segments",
    "created": "Created",
    "last_active": "Last active",
}
"""What a column can be mapped to, beside `data.<key>` for a custom attribute."""

COMPANY_FIELDS: Mapping[str, str] = {
    "company_name": "Company name",
    "company_url": "Company URL",
    "company_description": "Company description",
    "other_names": "Other names",
    "other_domains": "Other domains",
}
"""As FIELDS, in a file whose rows are companies."""

TARGETS: Mapping[str, str] = {
    "phone": "phone",
    "avatar": "avatar",
    "job_title": "attributes.job_title",
    "role": "attributes.role",
    "country": "attributes.country",
    "region": "attributes.region",
    "city": "attributes.city",
    "time_zone": "attributes.time_zone",
    "locales": "attributes.locales",
    "created": "signed_up_at",
    "last_active": "last_active_at",
}
"""A field to the column of a contact or the attribute that it fills; the others have rules of their own."""

RESERVED = frozenset(
    {*(t.removeprefix("attributes.") for t in TARGETS.values() if "." in t), "company_name"}
)
"""Attributes that belong to fields: `data.country` is the country."""
COMPANY_RESERVED: Mapping[str, str] = {"description": "company_description"}
"""As RESERVED, in a file of companies: attribute to field."""

TYPES: Mapping[str, str] = {
    "text": "text",
    "integer": "whole number",
    "decimal": "decimal number",
    "date": "date",
    "yes_no": "yes or no",
    "choice": "one of a list",
    "multi_choice": "several of a list, separated by |",
}
CUSTOM = "data."


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """One column: `to` is a key of FIELDS, `data.<key>`, or None to ignore it."""

    column: str
    to: str | None = None
    type: str = "text"
    choices: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"column": self.column, "to": self.to}
        if self.is_custom:
            told["type"] = self.type
            if self.choices:
                told["choices"] = list(self.choices)
        return told

    @property
    def is_custom(self) -> bool:
        return self.to is not None and self.to.startswith(CUSTOM)

    @property
    def key(self) -> str:
        return (self.to or "").removeprefix(CUSTOM)


def fields_of(kind: str) -> Mapping[str, str]:
    return COMPANY_FIELDS if kind == "companies" else FIELDS


def reserved_of(kind: str) -> Mapping[str, str]:
    """Attribute to the field that it belongs to."""
    return COMPANY_RESERVED if kind == "companies" else {key: key for key in RESERVED}


def column_map(column: str, told: Any, kind: str = "contacts") -> ColumnMap:
    """From JSON: a target, or an object with `to`, `type` and `choices`. Raises Refused."""
    if not isinstance(told, Mapping):
        told = {"to": told}
    to, value_type = told.get("to"), told.get("type", "text")
    if to in (None, ""):
        return ColumnMap(column)
    fields = fields_of(kind)
    if not isinstance(to, str) or not (to in fields or to.startswith(CUSTOM)):
        raise Refused(
            f"“{column}” cannot be mapped to {str(to)[:60]}: "
            f"choose {', '.join(fields)}, or data.<key> for a custom attribute."
        )
    if not to.startswith(CUSTOM):
        return ColumnMap(column, to)
    key = custom_key(to.removeprefix(CUSTOM))
    if key in reserved_of(kind):
        return ColumnMap(column, reserved_of(kind)[key])
    if value_type not in TYPES:
        raise Refused(
            f"{key} cannot be of the type {str(value_type)[:40]}: choose {', '.join(TYPES)}."
        )
    choices = _choices(key, value_type, told.get("choices") or ())
    return ColumnMap(column, f"{CUSTOM}{key}", value_type, choices)


def _choices(key: str, kind: str, told: Any) -> tuple[str, ...]:
    if kind not in {"choice", "multi_choice"}:
        return ()
    given = told.split("|") if isinstance(told, str) else list(told)
    choices = tuple(dict.fromkeys(str(c).strip() for c in given if str(c).strip()))
    if not choices:
        raise Refused(f"{key} is one of a list: name its values, separated by |.")
    if len(choices) > 500 or any(len(choice) > 200 for choice in choices):
        raise Refused(f"The list of {key} is too long: at most 500 values of 200 characters.")
    return choices


def check_columns(columns: Sequence[ColumnMap], kind: str = "contacts") -> None:
    """Raises Refused with the first thing that is wrong."""
    taken: dict[str, str] = {}
    for column in columns:
        if column.to is None:
            continue
        if column.to in taken:
            what = column.key if column.is_custom else fields_of(kind)[column.to]
            raise Refused(
                f"Two columns are mapped to {what}: “{taken[column.to]}” and “{column.column}”. "
                "Ignore one of them."
            )
        taken[column.to] = column.column
    if kind == "companies":
        if "company_name" not in taken and "company_url" not in taken:
            raise Refused(
                "No column is mapped to Company name or Company URL: every company needs one of them."
            )
    elif "email" not in taken:
        raise Refused(
            "No column is mapped to E-mail: every contact needs an address. "
            "If each row is a company, choose companies as what its rows are."
        )
