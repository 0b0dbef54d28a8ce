"""A company, its aliases, and memberships of contacts."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
    text,
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
    # The name that Crisp last told: only another one takes the place of what a person wrote (SPEC D7).
    Column("crisp_name", Text),
    # Hidden by a person, or merged by one into the live company named here (SPEC D6).
    Column("deleted_at", UtcDateTime),
    Column("merged_into", Text),
    # Who of the team looks after it; the name as it was when somebody chose.
    Column("owner_id", Text),
    Column("owner_name", Text),
    # Which of the fields a person or a program wrote last, and when (app/sources.py).
    Column("field_sources", Json, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Index(None, "website_id", "name", "id"),
    Index(
        "ix_companies_merged_into",
        "website_id",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
    told=Told("company", ("id",), frozenset({"updated_at", "search", "named_ms", "crisp_name"})),
)

company_aliases = website_table(
    "company_aliases",
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("company_id", Text, nullable=False),
    # Whose it is by itself, where that company was merged into `company_id`.
    Column("own_company_id", Text),
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
    # Whose it is by itself, where that contact or company was merged into the one above.
    Column("own_contact_id", Text),
    Column("own_company_id", Text),
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
    # Who belongs to a company now: counted for each list of contacts.
    Index(
        "ix_contact_companies_current",
        "website_id",
        "contact_id",
        "company_id",
        sqlite_where=text("until IS NULL"),
        postgresql_where=text("until IS NULL"),
    ),
    Index(
        "ix_contact_companies_own_contact",
        "website_id",
        "own_contact_id",
        sqlite_where=text("own_contact_id IS NOT NULL"),
        postgresql_where=text("own_contact_id IS NOT NULL"),
    ),
    told=Told("membership", ("id",), frozenset({"own_contact_id", "own_company_id"})),
)

# A person's word that an e-mail domain is a company's, or, without one, that nobody asks whose it is
# (SPEC M9, V5).
domain_ties = website_table(
    "domain_ties",
    Column("domain", Text, nullable=False),
    Column("company_id", Text),
    Column("own_company_id", Text),
    Column("tied_by", Text, nullable=False),
    Column("tied_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "domain"),
    ForeignKeyConstraint(
        ["website_id", "company_id"], ["companies.website_id", "companies.id"], ondelete="CASCADE"
    ),
    Index(None, "website_id", "company_id"),
)
