"""Sealed values. `website_id` is a website's, or "plugin" for what belongs to the whole deployment."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Text

from app.db.base import UtcDateTime, website_table

sealed_secrets = website_table(
    "sealed_secrets",
    Column("field", Text, nullable=False),
    # Which key opens it; the key itself is outside the database.
    Column("key_id", Text, nullable=False),
    # AES-GCM: nonce and ciphertext, base64.
    Column("sealed", Text, nullable=False),
    Column("stored_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "field"),
    Index(None, "key_id"),
)
