"""Tokens may have the rights of an admin."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _allow("scope IN ('read', 'write', 'admin')")


def downgrade() -> None:
    # The release before knows no such scope: these tokens become what they can still be there.
    op.execute("UPDATE api_tokens SET scope = 'write' WHERE scope = 'admin'")
    _allow("scope IN ('read', 'write')")


def _allow(condition: str) -> None:
    with op.batch_alter_table("api_tokens") as batch_op:
        batch_op.drop_constraint(op.f("ck_api_tokens_scope"), type_="check")
        batch_op.create_check_constraint(op.f("ck_api_tokens_scope"), condition)
