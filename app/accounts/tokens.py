"""API tokens (SPEC P4): shown once, kept as a hash; a read token is a viewer, a write token a member, an admin token an admin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.accounts.sessions import hash_token, new_token
from app.accounts.tables import api_tokens, token_grants
from app.db.base import StoredRow, new_id
from app.db.session import Database
from app.errors import DatabaseAway, NotFound, Refused

Scope = Literal["read", "write", "admin"]
ROLES: Mapping[str, Role] = {"read": Role.VIEWER, "write": Role.MEMBER, "admin": Role.ADMIN}

BEGINS = "cs_"
_PREFIX = 9
_LONGEST_NAME = 100
# How often the time of its last use is written down.
_USED_EVERY = timedelta(minutes=1)

_t = api_tokens.c


async def create_token(
    connection: AsyncConnection,
    actor: Actor,
    name: str,
    scope: Scope,
    website_ids: Iterable[str] | None,
    expires_at: datetime | None,
) -> str:
    """The token, which is told here and never again. `website_ids` None: every one. Raises Refused, Forbidden."""
    actor.require(Role.ADMIN)
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise Refused(f"A token needs a name of 1 to {_LONGEST_NAME} letters, to tell it by.")
    if expires_at is not None and expires_at <= clock.now():
        raise Refused("The token would have expired already: choose a later day.")
    token, token_id = BEGINS + new_token(), new_id()
    granted = None if website_ids is None else sorted(set(website_ids))
    if granted == []:
        raise Refused("Choose the websites that the token may see.")
    await connection.execute(
        insert(api_tokens).values(
            id=token_id,
            name=name,
            prefix=token[:_PREFIX],
            token_hash=hash_token(token),
            scope=scope,
            every_website=granted is None,
            created_by=actor.name,
            created_at=clock.now(),
            expires_at=expires_at,
        )
    )
    for website_id in granted or ():
        await connection.execute(
            insert(token_grants).values(website_id=website_id, token_id=token_id)
        )
    await audit(
        connection,
        actor,
        "token.created",
        subject=("token", token_id),
        after={"name": name, "scope": scope, "websites": granted or "every one"},
    )
    return token


async def revoke_token(connection: AsyncConnection, actor: Actor, token_id: str) -> None:
    """From now on it is not known. Raises NotFound, Forbidden."""
    actor.require(Role.ADMIN)
    row = (
        await connection.execute(
            select(api_tokens).where(_t.id == token_id, _t.revoked_at.is_(None))
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such token, or it was revoked already.")
    await connection.execute(
        update(api_tokens).where(_t.id == token_id).values(revoked_at=clock.now())
    )
    subject = ("token", token_id)
    await audit(connection, actor, "token.revoked", subject=subject, before={"name": row.name})


async def list_tokens(connection: AsyncConnection) -> Sequence[StoredRow]:
    """Those that work first, newest first."""
    order = (_t.revoked_at.is_not(None), _t.created_at.desc(), _t.id)
    return (await connection.execute(select(api_tokens).order_by(*order))).all()


async def websites_of_tokens(connection: AsyncConnection) -> dict[str, frozenset[str]]:
    """By the token's id; a token that sees every website is missing."""
    found: dict[str, set[str]] = {}
    for row in await connection.execute(select(token_grants)):
        found.setdefault(row.token_id, set()).add(row.website_id)
    return {token_id: frozenset(ids) for token_id, ids in found.items()}


async def actor_of_token(db: Database, token: str) -> Actor | None:
    """Whose token it is; None for one that is not known, was revoked, or has expired."""
    if not token.startswith(BEGINS) or len(token) > 100 or not token.isascii():
        return None
    now = clock.now()
    query = select(api_tokens).where(
        _t.token_hash == hash_token(token),
        _t.revoked_at.is_(None),
        _t.expires_at.is_(None) | (_t.expires_at > now),
    )
    async with db.read() as connection:
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        seen = None if row.every_website else await _granted_to(connection, row.id)
    if row.last_used_at is None or now - row.last_used_at >= _USED_EVERY:
        await _note_use(db, row.id, now)
    return Actor("token", row.id, row.name, ROLES[row.scope], seen)


async def _granted_to(connection: AsyncConnection, token_id: str) -> frozenset[str]:
    query = select(token_grants.c.website_id).where(token_grants.c.token_id == token_id)
    return frozenset((await connection.execute(query)).scalars())


async def _note_use(db: Database, token_id: str, now: datetime) -> None:
    try:
        async with db.write() as connection:
            await connection.execute(
                update(api_tokens).where(_t.id == token_id).values(last_used_at=now)
            )
    except DatabaseAway:  # it can still be read: no reason not to answer
        pass
