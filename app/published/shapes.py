"""The shapes: names and types that clients are generated from. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema


def written(moment: datetime) -> str:
    """Whole milliseconds, as both databases keep them at least: 2026-03-02T09:00:00.000Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment: TypeAlias = Annotated[
    AwareDatetime,
    PlainSerializer(written, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
WebsiteId: TypeAlias = Annotated[
    str, Field(description="Crisp's website id.", examples=["8c842203-7ed8-4e29-a608-7cf78a7d2fcc"])
]
Id: TypeAlias = Annotated[str, Field(examples=["7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"])]


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class Website(Shape):
    id: WebsiteId
    name: str = Field(examples=["Acme Chat"])
    domain: str | None = Field(examples=["acme.example"])
    status: Literal["waiting", "connected", "paused", "disconnected", "uninstalled"]
    attention: str | None = Field(description="What somebody should look at, as a sentence.")
    time_zone: str = Field(examples=["Europe/Paris"])
    business_hours: str | None = Field(
        description="When its team works, in its time zone; null: as BUSINESS_HOURS says.",
        examples=["mon-fri 09:00-17:00"],
    )
    connected_at: Moment
    first_imported_at: Moment | None


class Address(Shape):
    email: str = Field(
        description="In the normal form that matching uses.", examples=["ann@acme.example"]
    )
    primary: bool
    source: str = Field(examples=["crisp"])


class Membership(Shape):
    """A contact in a company, since when and until when (null: still)."""

    id: Id
    website_id: WebsiteId
    contact_id: Id
    company_id: Id
    company_name: str = Field(examples=["Acme"])
    source: str = Field(examples=["crisp"])
    since: Moment
    until: Moment | None


class Owner(Shape):
    """Who of the team looks after it: an operator of Crisp."""

    id: str | None = Field(
        description="null: no operator of the website any more.",
        examples=["5c0e9a52-7f0c-4a5e-9a0e-6d8a3f0b1c2d"],
    )
    name: str = Field(examples=["Mira"])


class Contact(Shape):
    id: Id
    website_id: WebsiteId
    crisp_people_id: str | None = Field(examples=["c8c2ca5e-6f0d-4d0e-b1a6-0b7d2b6b1a11"])
    name: str | None = Field(examples=["Ann Example"])
    email: str | None = Field(examples=["Ann@acme.example"])
    phone: str | None = Field(examples=["+34600112233"])
    avatar: str | None
    addresses: list[Address]
    companies: list[Membership]
    segments: list[str] = Field(examples=[["customer"]])
    attributes: dict[str, Any] = Field(examples=[{"job_title": "Buyer", "country": "FR"}])
    owner: Owner | None
    source: Literal["crisp", "csv", "api", "manual"]
    last_active_at: Moment | None = Field(examples=["2026-03-02T09:00:00.000Z"])
    signed_up_at: Moment | None
    created_at: Moment
    updated_at: Moment
    deleted_at: Moment | None = Field(description="Removed in Crisp, or hidden by a person.")
    merged_into: str | None = Field(description="The contact that a person merged it into.")


class Company(Shape):
    id: Id
    website_id: WebsiteId
    name: str = Field(examples=["Acme"])
    domain: str | None = Field(examples=["acme.example"])
    domains: list[str] = Field(examples=[["acme.example"]])
    names: list[str] = Field(
        description="Names it goes or went by, in normal form.", examples=[["acme", "acme ltd"]]
    )
    attributes: dict[str, Any] = Field(examples=[{"industry": "Retail"}])
    owner: Owner | None
    created_at: Moment
    updated_at: Moment
    deleted_at: Moment | None = Field(description="Hidden by a person, or merged into another.")
    merged_into: str | None = Field(description="The company that a person merged it into.")


class Link(Shape):
    """Whose a conversation is, and why."""

    website_id: WebsiteId
    conversation_id: Id
    contact_id: Id | None
    company_ids: list[Id]
    rule: Literal["people_id", "email", "manual"] | None = Field(examples=["email"])
    value: str | None = Field(
        description="The people id, address or person that decided.", examples=["ann@acme.example"]
    )
    verified: bool = Field(description="False where a visitor typed the address, unchecked.")
    matched_at: Moment | None = Field(examples=["2026-03-02T09:00:00.000Z"])
    conflicting_contact_id: Id | None = Field(examples=[None])
    unmatched_reason: str | None = Field(examples=[None])


class Conversation(Shape):
    id: Id
    website_id: WebsiteId
    session_id: str = Field(examples=["session_36ba3566-9651-4790-afc8-ffedbccc317f"])
    link: Link
    status: Literal["pending", "unresolved", "resolved"]
    subject: str | None = Field(examples=["Refund for order 4471"])
    origin: str | None = Field(examples=["chat"])
    assigned_to: str | None = Field(examples=["Mira"])
    rating: int | None
    nickname: str | None = Field(examples=["Ann"])
    email: str | None = Field(examples=["Ann@acme.example"])
    email_verified: bool
    metadata: dict[str, Any] = Field(examples=[{"data": {"order": "4471"}}])
    message_count: int
    last_message_at: Moment | None = Field(examples=["2026-03-02T09:00:00.000Z"])
    created_at: Moment | None = Field(
        description="Crisp's time.", examples=["2026-03-02T09:00:00.000Z"]
    )
    updated_at: Moment | None = Field(
        description="Crisp's time.", examples=["2026-03-02T09:00:00.000Z"]
    )
    deleted_at: Moment | None


class Message(Shape):
    website_id: WebsiteId
    conversation_id: Id
    fingerprint: int = Field(
        description="Unique inside its conversation only.", examples=[150698569649423]
    )
    direction: Literal["inbound", "outbound", "internal"]
    type: str = Field(examples=["text"])
    body: str = Field(examples=["Hello, the order was charged twice."])
    content: Any = Field(description="What is not text, whole: files, pickers, carousels.")
    sender_name: str | None = Field(examples=["Ann"])
    automated: bool
    sent_at: Moment | None = Field(examples=["2026-03-02T09:00:00.000Z"])
    edited_at: Moment | None
    deleted_at: Moment | None = Field(description="Removed: body and content are then empty.")
    text_dropped_at: Moment | None = Field(
        description="Kept for as long as was chosen: body and content are gone for good."
    )
