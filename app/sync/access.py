"""The client and budget of this deployment's credential (SPEC P1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.crisp.budget import Budget
from app.crisp.client import Credential, CrispClient
from app.crisp.errors import AuthRejected, CrispError, Permanent
from app.db.session import Database
from app.errors import Refused
from app.settings import Settings
from app.websites.connect import own_plugin_id
from app.websites.credential import read_credential


async def require_credential(db: Database, settings: Settings) -> Credential:
    """Raises Refused when there is none, or none that can be decrypted."""
    return (await read_credential(db, settings)).require()


def client_of(
    db: Database,
    settings: Settings,
    credential: Credential,
    sharers: Callable[[], frozenset[str]] = frozenset,
) -> CrispClient:
    budget = Budget(db, credential.identifier, settings.crisp_daily_quota, sharers)
    return CrispClient(settings.crisp_api_url, credential, budget, settings.crisp_concurrency)


async def open_client(db: Database, settings: Settings) -> CrispClient:
    """Raises Refused when there is no credential."""
    return client_of(db, settings, await require_credential(db, settings))


@asynccontextmanager
async def opened_client(db: Database, settings: Settings) -> AsyncIterator[CrispClient]:
    """For a few requests: what was granted and not used is given back. Raises Refused."""
    client = await open_client(db, settings)
    try:
        yield client
    finally:
        await client.budget.give_back()
        await client.close()


async def check_credential(db: Database, settings: Settings, identifier: str, key: str) -> str:
    """The id of the plugin whose credential it is.

    Raises Refused when Crisp does not take it, else what `CrispClient.get` raises.
    """
    client = client_of(db, settings, Credential(identifier, key))
    try:
        return await own_plugin_id(client)
    except (AuthRejected, Permanent) as error:  # Crisp is well; what was typed is wrong
        raise Refused(f"{_told_to_typist(error)} Nothing was changed.") from error
    finally:
        await client.budget.give_back()
        await client.close()


def _told_to_typist(error: CrispError) -> str:
    """The client's sentence speaks of variables, which nobody set who types a credential."""
    if error.status == 401:
        return (
            "Crisp does not know this identifier and key: copy both once more from the Marketplace "
            "(your plugin, Tokens)."
        )
    return error.message
