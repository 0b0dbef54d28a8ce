"""What an admin does with the people who log in; each change ends in the audit log (SPEC P4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts import links
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.accounts.sessions import end_sessions_of_user, granted_to
from app.accounts.tables import users, website_grants
from app.accounts.users import add_user, find_user
from app.db.base import StoredRow
from app.db.upsert import lock_key
from app.errors import Conflict, NotFound, Refused
from app.normal import normal_address

LONGEST_NAME = 100
_LAST = "That is the last admin who can log in: make somebody else an admin first."


def role_named(word: str) -> Role:
    """Raises Refused."""
    try:
        return Role[word.upper()]
    except KeyError:
        raise Refused("There is no such role; choose viewer, member or admin.") from None


def checked_name(name: str) -> str:
    """Raises Refused."""
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused(f"A name has at most {LONGEST_NAME} letters.")
    return name


async def invite(
    connection: AsyncConnection,
    actor: Actor,
    email: str,
    name: str,
    role: Role,
    website_ids: Iterable[str] = (),
) -> tuple[str, str]:
    """A new user without a password: its id, and the word of the link that sets one. Raises Refused, Conflict."""
    actor.require(Role.ADMIN)
    typed = normal_address(email)
    if typed is None:
        raise Refused("That is no e-mail address: write it like ann@acme.example.")
    await lock_key(connection, "users")
    if await find_user(connection, typed) is not None:
        raise Conflict("Somebody with that address is in the team already.")
    user_id = await add_user(connection, actor, typed, checked_name(name), role)
    await grant(connection, actor, user_id, website_ids)
    return user_id, await links.make_link(connection, user_id, links.INVITATION)


async def reset_link(connection: AsyncConnection, actor: Actor, user_id: str) -> str:
    """The word of a link that sets a new password; the old one counts until then. Raises NotFound, Conflict."""
    actor.require(Role.ADMIN)
    user = await require_user(connection, user_id)
    if user.disabled_at is not None:
        raise Conflict("This account is disabled: enable it first.")
    lasts = links.RESET if user.password_hash else links.INVITATION
    token = await links.make_link(connection, user_id, lasts)
    await audit(connection, actor, "link.made", subject=("user", user_id))
    return token


async def grant(
    connection: AsyncConnection, actor: Actor, user_id: str, website_ids: Iterable[str]
) -> None:
    """Let the user see these websites and no others; each must be there."""
    actor.require(Role.ADMIN)
    before, wanted = await granted_to(connection, user_id), frozenset(website_ids)
    if before == wanted:
        return
    mine = website_grants.c.user_id == user_id
    await connection.execute(delete(website_grants).where(mine))
    for website_id in sorted(wanted):
        await connection.execute(
            insert(website_grants).values(website_id=website_id, user_id=user_id)
        )
    await audit(
        connection,
        actor,
        "user.granted",
        subject=("user", user_id),
        before={"websites": sorted(before)},
        after={"websites": sorted(wanted)},
    )


async def change_role(connection: AsyncConnection, actor: Actor, user_id: str, role: Role) -> None:
    """Raises NotFound, and Conflict for the last admin."""
    actor.require(Role.ADMIN)
    user = await require_user(connection, user_id)
    if user.role == role.word:
        return
    if role is not Role.ADMIN:
        await _keep_an_admin(connection, user)
    await connection.execute(update(users).where(users.c.id == user_id).values(role=role.word))
    await audit(
        connection,
        actor,
        "user.role_changed",
        subject=("user", user_id),
        before={"role": user.role},
        after={"role": role.word},
    )


async def disable(connection: AsyncConnection, actor: Actor, user_id: str) -> None:
    """Its sessions end at once. Raises NotFound, and Conflict for the last admin."""
    actor.require(Role.ADMIN)
    user = await require_user(connection, user_id)
    await _keep_an_admin(connection, user)
    await end_sessions_of_user(connection, user_id)
    await connection.execute(
        update(users).where(users.c.id == user_id).values(disabled_at=clock.now())
    )
    await audit(connection, actor, "user.disabled", subject=("user", user_id))


async def enable(connection: AsyncConnection, actor: Actor, user_id: str) -> None:
    actor.require(Role.ADMIN)
    await require_user(connection, user_id)
    await connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=None))
    await audit(connection, actor, "user.enabled", subject=("user", user_id))


async def remove(connection: AsyncConnection, actor: Actor, user_id: str) -> None:
    """Gone, with sessions, links and grants; what it did stays in the audit log. Raises as `disable`."""
    actor.require(Role.ADMIN)
    user = await require_user(connection, user_id)
    await _keep_an_admin(connection, user)
    await connection.execute(delete(website_grants).where(website_grants.c.user_id == user_id))
    await connection.execute(delete(users).where(users.c.id == user_id))
    before = {"email": user.email, "role": user.role}
    await audit(connection, actor, "user.removed", subject=("user", user_id), before=before)


async def rename(connection: AsyncConnection, actor: Actor, name: str) -> None:
    """One's own name. Raises Refused."""
    user = await require_user(connection, actor.id)
    name = checked_name(name)
    await connection.execute(update(users).where(users.c.id == actor.id).values(name=name))
    await audit(
        connection,
        actor,
        "user.renamed",
        subject=("user", actor.id),
        before={"name": user.name},
        after={"name": name},
    )


async def require_user(connection: AsyncConnection, user_id: str) -> StoredRow:
    """Raises NotFound."""
    row = (await connection.execute(select(users).where(users.c.id == user_id))).one_or_none()
    if row is None:
        raise NotFound("There is nobody of that id in the team.")
    return row


async def list_users(connection: AsyncConnection) -> Sequence[StoredRow]:
    return (await connection.execute(select(users).order_by(users.c.email))).all()


async def websites_of_users(connection: AsyncConnection) -> dict[str, frozenset[str]]:
    """By the user's id."""
    found: dict[str, set[str]] = {}
    for row in await connection.execute(select(website_grants)):
        found.setdefault(row.user_id, set()).add(row.website_id)
    return {user_id: frozenset(ids) for user_id, ids in found.items()}


async def _keep_an_admin(connection: AsyncConnection, user: StoredRow) -> None:
    """Raises Conflict when nobody else could do what an admin does, two changes at once included."""
    await lock_key(connection, "users")
    others = await connection.scalar(
        select(func.count()).where(
            users.c.role == "admin",
            users.c.id != user.id,
            users.c.disabled_at.is_(None),
            users.c.password_hash.is_not(None),
        )
    )
    if user.role == "admin" and not others:
        raise Conflict(_LAST)
