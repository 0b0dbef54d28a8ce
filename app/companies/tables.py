"""A company, its aliases, and memberships of contacts."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
)

from app.db.base import BigInt, Flag, Json, Told, UtcDateTime, website_table

companies = website_table(
    "companies",
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("domain", Text),
    Column("attributes", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("search", Text, nullable=False),
    # Crisp's time of the profile that gave the name: an older profile does not take a rename back.
    Column("named_ms", BigInt, nullable=False),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Index(None, "website_id", "name", "id"),
    told=Told("company", ("id",), frozenset({"updated_at", "search", "named_ms"})),
)

company_aliases = website_table(
    "company_aliases",
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("company_id", Text, nullable=False),
    PrimaryKeyConstraint("website_id", "kind", "value"),
    ForeignKeyConstraint(
        ["website_id", "company_id"], ["companies.website_id", "companies.id"], ondelete="CASCADE"
    ),
    Index(None, "website_id", "company_id"),
    CheckConstraint("kind IN ('domain', 'name')", name="kind"),
    told=Told("company", ("company_id",)),
)

contact_companies = website_table(
    "contact_companies",
    Column("id", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("company_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    # A company that replaced another covers conversations from `since` on; one that was added
    # covers the earlier ones too (SPEC M3).
    Column("replaced_another", Flag, nullable=False),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(
        ["website_id", "contact_id"], ["contacts.website_id", "contacts.id"], ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["website_id", "company_id"], ["companies.website_id", "companies.id"], ondelete="CASCADE"
    ),
    Index(None, "website_id", "contact_id"),
    Index(None, "website_id", "company_id"),
    told=Told("membership", ("id",)),
)
