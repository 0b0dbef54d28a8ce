"""`crispsync user add` and `crispsync token create`."""

from __future__ import annotations

import sys
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import COMMAND
from app.accounts.links import set_password
from app.accounts.passwords import hash_password, weakness
from app.accounts.team import invite, role_named
from app.accounts.tokens import Scope, create_token
from app.commands.database import with_database
from app.db.session import Database
from app.errors import Refused
from app.settings import Settings
from app.websites.connect import require_website_id
from app.websites.rules import require_website


def add_user(email: str, role: str, website_ids: tuple[str, ...], *, password: bool) -> str:
    """What to tell the one who asked: the invitation link, or that it is done. Raises Refused, Conflict."""
    typed = sys.stdin.readline().rstrip("\r\n") if password else None
    if typed is not None and (reason := weakness(typed, email)):
        raise Refused(reason)

    async def work(db: Database, settings: Settings) -> str:
        hashed = None if typed is None else await hash_password(typed)

        async def add(connection: AsyncConnection) -> str:
            for website_id in website_ids:
                await require_website(connection, require_website_id(website_id))
            user_id, link = await invite(
                connection, COMMAND, email, "", role_named(role), website_ids
            )
            if hashed is not None:
                await set_password(connection, user_id, hashed)
            return link

        link = await db.transact(add)
        if hashed is not None:
            return f"{email} can log in now, as {role}."
        address = f"{settings.public_url.rstrip('/')}/welcome?link={link}"
        return f"{email} sets a password at this address, once, within seven days:\n{address}"

    return with_database(work)


def make_token(name: str, scope: Scope, website_ids: tuple[str, ...], days: int) -> str:
    """The token, alone on its line. Raises Refused, NotFound."""
    expires_at = clock.now() + timedelta(days=days) if days else None

    async def work(db: Database, _settings: Settings) -> str:
        async def create(connection: AsyncConnection) -> str:
            for website_id in website_ids:
                await require_website(connection, require_website_id(website_id))
            return await create_token(
                connection, COMMAND, name, scope, website_ids or None, expires_at
            )

        return await db.transact(create)

    return with_database(work)
