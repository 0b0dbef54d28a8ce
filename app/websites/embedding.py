"""Whether whoever opens the settings page in Crisp's frame comes from Crisp (SPEC C5; FAILURES cases 92, 93).

The token is Crisp's, one for each website. What does not match is read again once, and so seldom that
a stranger with a guess cannot use up the quota.
"""

from __future__ import annotations

import hmac

from app.crisp.client import CrispClient
from app.db.session import Database
from app.db.turns import take_turn
from app.errors import CrispsyncError, NotFound
from app.settings import Settings
from app.vault.keys import load_keyring
from app.websites.connect import is_website_id, own_plugin_id
from app.websites.installation import note_installation
from app.websites.rules import find_rules
from app.websites.subscriptions import ask_token, keep_token, read_token

READ_AGAIN_EVERY = 600.0
"""Seconds between two questions to Crisp for one website, and for all that are not known here."""
LONGEST = 300
_INSTALLED = ("waiting", "connected", "paused")


class NotFromCrisp(CrispsyncError):
    http_status = 403

    def __init__(self) -> None:
        super().__init__("This address does not prove that it comes from Crisp, or is out of date.")


async def stored_token_fits(db: Database, settings: Settings, website_id: str, token: str) -> bool:
    """Without asking Crisp. Raises NotFromCrisp for what cannot be right."""
    if not is_website_id(website_id) or not 0 < len(token) <= LONGEST:
        raise NotFromCrisp
    async with db.read() as connection:
        rules = await find_rules(connection, website_id)
    known = await read_token(db, load_keyring(settings), website_id)
    return rules is not None and rules.status in _INSTALLED and _same(known, token)


async def may_read_again(db: Database, website_id: str) -> bool:
    async with db.read() as connection:
        rules = await find_rules(connection, website_id)
    if rules is not None and rules.status == "disconnected":
        return False
    return await take_turn(db, f"token of {website_id if rules else 'others'}", READ_AGAIN_EVERY)


async def read_again(
    db: Database,
    settings: Settings,
    client: CrispClient,
    plugin_id: str | None,
    asked: str,
    token: str,
) -> None:
    """One request, two without a known plugin id. Raises NotFromCrisp, or what the client raises."""
    found = await ask_token(client, asked, plugin_id or await own_plugin_id(client))
    if not _same(found, token):
        raise NotFromCrisp
    told_ms = client.clock.now_ms() - 1_000
    await db.transact(lambda c: note_installation(c, asked, told_ms, installed=True))
    await keep_token(db, load_keyring(settings), asked, token)


def _same(known: str | None, token: str) -> bool:
    """In constant time; bytes, since text with other letters than ASCII would raise (FAILURES case 8)."""
    if known is None:
        return False
    return hmac.compare_digest(known.encode(), token.encode(errors="replace"))


async def require_embeddable(db: Database, website_id: str) -> None:
    """Raises NotFound when it was disconnected or uninstalled meanwhile."""
    async with db.read() as connection:
        rules = await find_rules(connection, website_id)
    if rules is None or rules.status not in _INSTALLED:
        raise NotFound("The plugin is not connected on this website any more.")
