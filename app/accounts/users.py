"""The people who log in: looking them up, adding them."""

from __future__ import annotations

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.accounts.tables import users
from app.db.base import StoredRow, new_id


async def find_user(connection: AsyncConnection, email: str) -> StoredRow | None:
    """By the normal form of its address."""
    return (await connection.execute(select(users).where(users.c.email == email))).one_or_none()


def actor_for(user: StoredRow) -> Actor:
    """The user as the author of an entry in the audit log."""
    return Actor("user", user.id, user.name or user.email, Role[user.role.upper()])


async def count_users(connection: AsyncConnection) -> int:
    return int(await connection.scalar(select(func.count()).select_from(users)) or 0)


async def add_user(
    connection: AsyncConnection,
    actor: Actor,
    email: str,
    name: str,
    role: Role,
    password_hash: str | None = None,
) -> str:
    """`email` in normal form. The new user's id."""
    user_id, now = new_id(), clock.now()
    await connection.execute(
        insert(users).values(
            id=user_id,
            email=email,
            name=name,
            role=role.word,
            password_hash=password_hash,
            created_at=now,
            password_set_at=now if password_hash else None,
        )
    )
    await audit(
        connection,
        actor,
        "user.added",
        subject=("user", user_id),
        after={"email": email, "role": role.word},
    )
    return user_id
