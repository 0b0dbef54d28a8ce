"""`crispsync keys rotate`: seal with the current SECRET_KEY what an older one sealed."""

from __future__ import annotations

import click

from app.accounts.actors import COMMAND
from app.accounts.audit import audit
from app.commands.database import with_database
from app.db.session import Database
from app.privacy.outside import keep_all
from app.settings import Settings
from app.vault.keys import load_keyring
from app.vault.store import Rotated
from app.vault.store import rotate as rotate_all

PARTIAL = 3


def rotate() -> int:
    """The exit code. Raises Refused when there is no key, or a weak one."""
    done = with_database(_rotate)
    click.echo(f"{done.sealed:,} sealed with the current key.")
    for owner, field in done.unreadable:
        click.echo(
            f"crispsync: {field} of {owner} opens with no SECRET_KEY given: enter it again, or add "
            "the key with which it was stored.",
            err=True,
        )
    return PARTIAL if done.unreadable else 0


async def _rotate(db: Database, settings: Settings) -> Rotated:
    done = await rotate_all(db, load_keyring(settings))
    # Before the old key is thrown away: the list outside opens with the new one, too.
    await keep_all(db)
    if done.sealed:
        await db.transact(
            lambda connection: audit(
                connection, COMMAND, "keys.rotated", after={"sealed": done.sealed}
            )
        )
    return done
