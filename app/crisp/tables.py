"""What this deployment has used of Crisp's daily quota, and until when nobody may ask (SPEC S6)."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Text

from app.db.base import BigInt, UtcDateTime, plain_table

quota_usage = plain_table(
    "quota_usage",
    Column("credential", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("website_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("used", Integer, nullable=False),
    PrimaryKeyConstraint("credential", "day", "website_id", "purpose"),
)

quota_pauses = plain_table(
    "quota_pauses",
    Column("credential", Text, primary_key=True),
    Column("until_ms", BigInt, nullable=False),
    Column("reason", Text, nullable=False),
    Column("in_a_row", Integer, nullable=False),
)

# Whether a route that needs a scope was seen working, and refused, with this credential.
scope_outcomes = plain_table(
    "scope_outcomes",
    Column("credential", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("worked_at", UtcDateTime),
    Column("refused_at", UtcDateTime),
    PrimaryKeyConstraint("credential", "scope"),
)
