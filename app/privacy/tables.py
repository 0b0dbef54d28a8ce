"""What was dropped last because it had been kept for long enough (SPEC P8)."""

from __future__ import annotations

from sqlalchemy import Column, Text

from app.db.base import BigInt, UtcDateTime, plain_table

purges = plain_table(
    "purges",
    Column("kind", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("dropped", BigInt, nullable=False),
    # Everything older has been looked at.
    Column("upto", UtcDateTime),
)
