"""The plugin's credential: of the environment first, else as entered in the pages (SPEC P2).

Everybody takes it from here, and takes it again for each piece of work: what somebody enters counts
at once in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.crisp.client import Credential
from app.db.base import StoredRow
from app.db.session import Database
from app.errors import Refused
from app.settings import Settings, split_secrets
from app.vault.keys import load_keyring
from app.vault.seal import PLUGIN, Unreadable
from app.vault.store import find_sealed, forget_secrets, open_row, store_secrets

Field = Literal["identifier", "key", "plugin_id", "signing_secrets"]
FIELDS: tuple[Field, ...] = ("identifier", "key", "plugin_id", "signing_secrets")
VARIABLES: Mapping[str, str] = {
    "identifier": "CRISP_IDENTIFIER",
    "key": "CRISP_KEY",
    "plugin_id": "CRISP_PLUGIN_ID",
    "signing_secrets": "CRISP_SIGNING_SECRET",
}
NO_CREDENTIAL = (
    "There is no Crisp credential: enter it under Settings, Credential, or set CRISP_IDENTIFIER and "
    "CRISP_KEY to the plugin's token (Crisp Marketplace, your plugin, Tokens)."
)
ENTER_AGAIN = (
    "The stored Crisp credential cannot be decrypted with this SECRET_KEY: enter the credential "
    "again under Settings, Credential, or set the SECRET_KEY with which it was stored."
)


@dataclass(frozen=True, slots=True)
class PluginCredential:
    """What is known of it; `unreadable` names stored fields that no key here opens."""

    identifier: str | None = None
    key: str | None = None
    plugin_id: str | None = None
    signing_secrets: tuple[bytes, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def trouble(self) -> str | None:
        """Why Crisp cannot be asked, as a sentence; None when it can."""
        if self.identifier and self.key:
            return None
        return ENTER_AGAIN if {"identifier", "key"} & set(self.unreadable) else NO_CREDENTIAL

    def require(self) -> Credential:
        """Raises Refused."""
        if self.identifier and self.key:
            return Credential(self.identifier, self.key)
        raise Refused(self.trouble or NO_CREDENTIAL)


def of_environment(settings: Settings) -> dict[str, str]:
    """By field; identifier and key only together, as they belong together."""
    key = settings.crisp_key.get_secret_value() if settings.crisp_key else ""
    secret = settings.crisp_signing_secret
    told = {
        "identifier": settings.crisp_identifier if key else None,
        "key": key if settings.crisp_identifier else None,
        "plugin_id": settings.crisp_plugin_id,
        "signing_secrets": secret.get_secret_value() if secret else None,
    }
    return {field: value for field, value in told.items() if value}


async def read_credential(db: Database, settings: Settings) -> PluginCredential:
    """Raises DatabaseAway; a key that is wrong or lost is told in the answer (FAILURES case 87)."""
    told = of_environment(settings)
    if set(told) == set(FIELDS):
        return _assemble(told, ())
    async with db.read() as connection:
        rows = await find_sealed(connection, PLUGIN)
    rows = {field: row for field, row in rows.items() if field not in told}
    stored, unreadable = _opened(settings, rows)
    return _assemble(told | stored, unreadable)


def _opened(
    settings: Settings, rows: Mapping[str, StoredRow]
) -> tuple[dict[str, str], tuple[str, ...]]:
    if not rows:
        return {}, ()
    try:
        keyring = load_keyring(settings)
    except Refused:
        return {}, tuple(sorted(rows))
    opened: dict[str, str] = {}
    for field, row in rows.items():
        try:
            opened[field] = open_row(keyring, row)
        except Unreadable:
            continue
    return opened, tuple(sorted(rows.keys() - opened.keys()))


def _assemble(values: Mapping[str, str], unreadable: tuple[str, ...]) -> PluginCredential:
    return PluginCredential(
        identifier=values.get("identifier"),
        key=values.get("key"),
        plugin_id=values.get("plugin_id"),
        signing_secrets=parse_signing_secrets(values.get("signing_secrets", "")),
        unreadable=unreadable,
    )


def parse_signing_secrets(text: str) -> tuple[bytes, ...]:
    return tuple(part.encode() for part in split_secrets(text))


async def store_credential(
    connection: AsyncConnection, settings: Settings, actor: Actor, values: Mapping[str, str]
) -> None:
    """Keep what somebody entered; an empty value forgets the field. Raises Forbidden, Refused.

    The audit log tells which fields, never what they hold.
    """
    actor.require(Role.ADMIN)
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise Refused(f"A credential has no {', '.join(sorted(unknown))}.")
    keyring = load_keyring(settings)
    before = await find_sealed(connection, PLUGIN)
    kept = {field: value for field, value in values.items() if value}
    await store_secrets(connection, keyring, PLUGIN, kept)
    await forget_secrets(connection, PLUGIN, values.keys() - kept.keys())
    await audit(
        connection,
        actor,
        "credential.stored" if kept else "credential.forgotten",
        subject=("credential", PLUGIN),
        before={field: "set" if field in before else "not set" for field in sorted(values)},
        after={field: "set" if field in kept else "not set" for field in sorted(values)},
    )
