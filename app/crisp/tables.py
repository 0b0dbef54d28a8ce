"""What this deployment has used of Crisp's daily quota, and until when nobody may ask (SPEC S6)."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Text

from app.db.base import BigInt, plain_table

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
