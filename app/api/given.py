"""What a program says of a contact or company, as the texts that a form would send. Pure.

An edit has one way in, whoever makes it: app/edits reads texts, field by field (app/edits/contact_form.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
)

from app.contacts.readers import text_of
from app.edits.contact_form import ATTRIBUTE, PROFILE_FIELDS
from app.edits.memberships import Joining
from app.edits.three_way import Invalid


def _in_time(moment: datetime) -> datetime:
    """Raises ValueError at the ends of the calendar, from where neither UTC nor a day more can be told."""
    try:
        year = moment.astimezone(UTC).year
    except OverflowError:
        year = 0
    if not 1 < year < 9999:
        raise ValueError("the year must be from 2 to 9998")
    return moment


Instant: TypeAlias = Annotated[AwareDatetime, AfterValidator(_in_time)]
"""A moment with its zone."""
ID = r"^[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}$"
Text: TypeAlias = Annotated[str, Field(max_length=10_000)]
Line: TypeAlias = Annotated[str, Field(max_length=500)]
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Value: TypeAlias = StrictBool | StrictInt | Number | Text | list[Line] | None
Day: TypeAlias = Instant | date
Attributes: TypeAlias = Annotated[
    dict[Annotated[str, Field(max_length=200)], Value],
    Field(
        description="Only these keys change; null removes one. A new key is a text until an import "
        "gives it a type.",
        examples=[{"job_title": "Buyer", "plan": "gold", "trial": None}],
        max_length=200,
    ),
]


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Join(Given):
    """A company by its id, or by name or domain: one that nobody knows yet is made."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Acme", "since": "2026-03-02"}]}
    )
    company_id: Annotated[str, Field(pattern=ID)] | None = None
    name: Line = ""
    domain: Line = ""
    since: Day | None = None
    until: Day | None = None
    main: StrictBool = False

    def joining(self) -> Joining:
        """Raises Invalid where no company is meant."""
        if not (self.company_id or self.name.strip() or self.domain.strip()):
            raise Invalid({"joins": "Say which company: company_id, name or domain."})
        return Joining(
            name=" ".join(self.name.split()),
            domain=self.domain.strip(),
            company_id=self.company_id or "",
            since=day_text(self.since),
            until=day_text(self.until),
            main=self.main,
        )


def day_text(day: date | datetime | None) -> str:
    return day.isoformat() if day is not None else ""


def lines(values: Sequence[str] | None) -> str:
    return "\n".join(values or ())


def segments_text(values: Sequence[str] | None) -> str:
    """As a form has them: one a line."""
    return "\n".join(" ".join(value.split()) for value in values or ())


def attribute_texts(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Field of the form and its text. Raises Invalid."""
    for key, value in given.items():
        if key == "company_name":
            raise Invalid(
                {"attributes.company_name": "company_name follows main_company_id; set that one."}
            )
        known = key in PROFILE_FIELDS
        yield (key if known else f"{ATTRIBUTE}{key}"), text_of(value)


def field_named(name: str) -> str:
    """What a form calls the field that the API calls so."""
    short = name.removeprefix(ATTRIBUTE)
    return short if name != short and short in PROFILE_FIELDS else name
