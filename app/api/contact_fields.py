"""A contact as a program writes it: the shapes of what it sends, and the changes that they mean."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StrictBool

from app.api.given import (
    ID,
    Attributes,
    Day,
    Given,
    Instant,
    Join,
    Line,
    attribute_texts,
    day_text,
    field_named,
    lines,
    segments_text,
)
from app.contacts.readers import text_of
from app.edits.memberships import Joining
from app.edits.three_way import Change
from app.errors import NotFound
from app.published.shapes import Contact

_TEXTS = ("name", "phone", "avatar")
_TIMES = ("signed_up_at", "last_active_at")


class ContactFields(Given):
    """What is left out stays as it is; null or an empty list empties it."""

    name: Annotated[Line | None, Field(examples=["Ann Example"])] = None
    emails: Annotated[
        list[Line] | None,
        Field(
            description="All of its addresses, the main one first; not those of merged contacts.",
            examples=[["ann@acme.example"]],
            max_length=50,
        ),
    ] = None
    phone: Annotated[Line | None, Field(examples=["+34600112233"])] = None
    avatar: Annotated[str | None, Field(max_length=2000, examples=[None])] = None
    signed_up_at: Annotated[Instant | None, Field(examples=["2026-01-31T09:00:00Z"])] = None
    last_active_at: Annotated[Instant | None, Field(examples=[None])] = None
    segments: Annotated[
        list[Line] | None,
        Field(description="All of its segments.", examples=[["customer"]], max_length=200),
    ] = None
    owner_id: Annotated[
        Line | None, Field(description="An operator's id (GET /operators).", examples=[None])
    ] = None
    attributes: Attributes = Field(default_factory=dict)
    joins: Annotated[
        list[Join],
        Field(description="Companies that it joins.", examples=[[{"name": "Acme"}]], max_length=50),
    ] = Field(default_factory=list)

    def texts(self) -> dict[str, str]:
        """By field of the form, what is given. Raises Invalid."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        found = {name: given[name] or "" for name in _TEXTS if name in given}
        found |= {name: text_of(given[name]) for name in _TIMES if name in given}
        if "emails" in given:
            found["emails"] = lines(self.emails)
        if "segments" in given:
            found["segments"] = segments_text(self.segments)
        if "owner_id" in given:
            found["owner"] = self.owner_id or ""
        return found | dict(attribute_texts(self.attributes))

    def joinings(self) -> list[Joining]:
        return [join.joining() for join in self.joins]


class MembershipChange(Given):
    id: Annotated[str, Field(pattern=ID, examples=["7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"])]
    since: Annotated[Day | None, Field(examples=["2026-03-02"])] = None
    until: Annotated[Day | None, Field(description="null: still.", examples=["2026-06-30"])] = None
    gone: Annotated[StrictBool, Field(description="It never was one.", examples=[False])] = False


class ContactChange(ContactFields):
    main_company_id: Annotated[
        str | None, Field(description="One that it is in now.", max_length=128, examples=[None])
    ] = None
    memberships: Annotated[
        list[MembershipChange],
        Field(
            description="Of `companies`, those whose days change.", examples=[[]], max_length=200
        ),
    ] = Field(default_factory=list)
    follow_crisp: Annotated[
        list[Line],
        Field(
            description="Fields that take Crisp's word again, now and from now on: `name`, `emails`, "
            "`attributes.job_title`, … (GET /contacts/{contact_id}/overridden lists them).",
            examples=[[]],
            max_length=200,
        ),
    ] = Field(default_factory=list)

    def changes(self, now: Contact) -> dict[str, Change]:
        """Without times that are as they were. Raises Invalid, NotFound."""
        texts = self.texts()
        for name in _TIMES:
            if name in texts and _same_moment(getattr(self, name), getattr(now, name)):
                del texts[name]
        if "main_company_id" in self.model_fields_set:
            texts["main_company"] = self.main_company_id or ""
        there = {one.id for one in now.companies}
        for one in self.memberships:
            if one.id not in there:
                raise NotFound("This contact has no membership of that id.")
            here = f"membership.{one.id}"
            texts |= {
                f"{here}.{part}": day_text(getattr(one, part))
                for part in ("since", "until")
                if part in one.model_fields_set
            }
            if one.gone:
                texts[f"{here}.gone"] = "yes"
        return {field: Change(text) for field, text in texts.items()}

    def following(self) -> list[str]:
        return [field_named(name) for name in self.follow_crisp]


def _same_moment(given: datetime | None, now: datetime | None) -> bool:
    if given is None or now is None:
        return given is now
    return abs((given - now).total_seconds()) < 0.001


class Segments(Given):
    add: Annotated[list[Line], Field(examples=[["vip"]], max_length=200)] = Field(
        default_factory=list
    )
    remove: Annotated[list[Line], Field(examples=[["trial"]], max_length=200)] = Field(
        default_factory=list
    )

    def after(self, now: Contact) -> dict[str, Change]:
        gone = {" ".join(one.split()) for one in self.remove}
        kept = [one for one in dict.fromkeys([*now.segments, *self.add]) if one not in gone]
        return {"segments": Change(segments_text(kept))}
