"""The first user, made when `serve` starts and there is none (ADMIN_EMAIL, ADMIN_PASSWORD)."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from app.accounts.login import FIRST_EMAIL, make_first_user
from app.accounts.passwords import weakness
from app.accounts.users import count_users
from app.db.session import normal_url, open_database, sqlite_file
from app.errors import Refused
from app.pages.security import is_loopback
from app.settings import Settings

NOBODY = (
    "Nobody can log in yet: set ADMIN_EMAIL and ADMIN_PASSWORD for the first start, or "
    "crispsync user add EMAIL --role admin"
)
READABLE = "PUBLIC_URL is no https address: passwords and pages travel readable for others."


def prepare_login(settings: Settings, host: str) -> list[str]:
    """Make the first user if there is none; what the one who starts this should read.

    Raises Refused for an ADMIN_PASSWORD that would be guessed, where others can reach the pages.
    """
    public = urlsplit(settings.public_url)
    on_loopback = is_loopback(f"[{host}]" if ":" in host else host)
    others = not (on_loopback and is_loopback(public.netloc))
    if others and settings.admin_password is not None:
        _require_strong(settings.admin_password.get_secret_value(), settings.admin_email or "")
    readable = public.scheme == "http" and not is_loopback(public.netloc)
    return [*([READABLE] if readable else []), *asyncio.run(_first_user(settings))]


def _require_strong(password: str, email: str) -> None:
    if reason := weakness(password, email):
        raise Refused(f"ADMIN_PASSWORD is not fit for pages that others can reach. {reason}")


async def _first_user(settings: Settings) -> list[str]:
    told_password = settings.admin_password
    password = told_password.get_secret_value() if told_password else None
    told = settings.admin_email is not None or password is not None
    db = open_database(settings.database_url, pool_size=1)
    try:
        async with db.read() as connection:
            if await count_users(connection):
                return []
        if not told and sqlite_file(normal_url(settings.database_url)) is None:
            return [NOBODY]
        invented = await make_first_user(db, settings.admin_email, password)
    finally:
        await db.close()
    email = settings.admin_email or FIRST_EMAIL
    return (
        [f"First login, shown only now: {email} with the password {invented}"] if invented else []
    )
