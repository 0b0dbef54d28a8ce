"""`crispsync erase`."""

from __future__ import annotations

from app.accounts.actors import COMMAND
from app.commands.database import with_database
from app.db.session import Database
from app.errors import Refused
from app.privacy.erase import Erasure, erase_address, erase_contact
from app.privacy.sweep import sweep
from app.settings import Settings


def erase(contact_id: str | None, email: str | None) -> str:
    if (contact_id is None) == (email is None):
        raise Refused("Say whom: crispsync erase CONTACT_ID, or crispsync erase --email ADDRESS.")

    async def work(db: Database, settings: Settings) -> list[Erasure]:
        if contact_id is not None:
            done = [await erase_contact(db, COMMAND, contact_id)]
        else:
            done = await erase_address(db, COMMAND, email or "")
        await sweep(db, settings.uploads_folder)
        return done

    return "\n".join(_in_words(erasure) for erasure in with_database(work))


def _in_words(done: Erasure) -> str:
    told = (
        f"Erased in {done.website_id}: {_count(done.contacts, 'contact')}, "
        f"{_count(done.conversations, 'conversation')}, {_count(done.messages, 'message')}."
    )
    if done.shared_addresses:
        told += (
            f" {_count(done.shared_addresses, 'address', 'addresses')} stay: "
            "other contacts have them too."
        )
    return told


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
