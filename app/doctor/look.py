"""Looking for what is wrong: first what stands in the database, then, if asked to, what Crisp says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import select, text

from app import clock
from app.contacts.outside import find_trouble
from app.db.base import AnySelect, StoredRow
from app.db.migrate import HEAD
from app.db.session import Database
from app.db.together import ask_together
from app.doctor.bell import look_at_bell
from app.doctor.disk import look_at_disks
from app.doctor.findings import Finding
from app.doctor.websites import look_at_website, unknown_query, unknown_websites
from app.errors import CrispsyncError, Refused
from app.settings import Settings
from app.sync.access import opened_client
from app.sync.processes import working_query
from app.sync.usage import QuotaState, read_quota
from app.vault.keys import Keyring, load_keyring
from app.vault.store import sealed_query, unreadable_of
from app.webhooks import hook_figures
from app.websites.asking import Trouble, ask_crisp
from app.websites.credential import NO_CREDENTIAL, PluginCredential, read_credential
from app.websites.setup import scopes_query, scopes_seen
from app.websites.tables import websites

RECENT = timedelta(hours=24)
CLOCK_OFF_MS = 60_000
_CAUSE_OF = {
    "rejected": "credential_rejected",
    "unreachable": "crisp_unreachable",
    "quota": "quota_used_up",
    "not_installed": "uninstalled",
    "refused": "credential_rejected",
}


class Known(NamedTuple):
    """What a page that examines shows as well."""

    credential: PluginCredential
    quota: QuotaState


class _Deployment(NamedTuple):
    """Rows of the queries of these names, asked together."""

    sealed: Sequence[StoredRow]
    processes: Sequence[StoredRow]
    refusals: Sequence[StoredRow]
    scopes: Sequence[StoredRow]
    unknown: Sequence[StoredRow]


async def examine(
    db: Database,
    settings: Settings,
    website_id: str | None = None,
    *,
    live: bool = False,
    known: Known | None = None,
) -> list[Finding]:
    """Of the deployment and of this website, or of all. `live` asks Crisp, a request each.

    `known` is read when the caller has not read it. Raises DatabaseAway.
    """
    async with db.read() as connection:
        revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision != HEAD:
        return [Finding("database_behind", f"It is at {revision}, this program at {HEAD}.")]
    credential, quota = known or await read_known(db, settings)
    found = _of_settings(settings, credential)
    found += _of_quota(quota)
    found += await asyncio.to_thread(look_at_disks, settings)
    found += await look_at_bell(settings)
    found += await asyncio.to_thread(_list_of_erased, settings)
    async with db.read() as connection:
        rows, *asked = await ask_together(
            connection,
            _websites(website_id),
            sealed_query(),
            working_query(connection),
            hook_figures.refusals_query(),
            scopes_query(credential.identifier),
            unknown_query(),
        )
        found += _of_database(_Deployment(*asked), settings)
        for row in rows:
            found += await look_at_website(connection, row)
    if live and credential.trouble is None:
        found = _merged(found, await _ask(db, settings, credential, rows))
    return found


async def read_known(db: Database, settings: Settings) -> Known:
    """Raises DatabaseAway."""
    credential = await read_credential(db, settings)
    return Known(credential, await read_quota(db, settings, credential))


def _websites(website_id: str | None) -> AnySelect:
    query = select(websites).order_by(websites.c.name, websites.c.id)
    return query if website_id is None else query.where(websites.c.id == website_id)


def _of_settings(settings: Settings, credential: PluginCredential) -> list[Finding]:
    found = []
    if credential.trouble == NO_CREDENTIAL:
        found.append(Finding("no_credential", "Neither set nor entered."))
    if not credential.signing_secrets:
        found.append(Finding("no_signing_secret", "Neither set nor entered."))
    if not settings.public_url.startswith("https://"):
        found.append(Finding("not_https", f"PUBLIC_URL is {settings.public_url}."))
    return found


def _list_of_erased(settings: Settings) -> list[Finding]:
    trouble = find_trouble(settings)
    return [] if trouble is None else [Finding("erased_list", trouble)]


def _of_quota(quota: QuotaState) -> list[Finding]:
    told = f"{quota.used:,} of {quota.limit:,} requests used today"
    if quota.paused_until is not None:
        return [
            Finding("quota_used_up", f"{told}; nobody asks before {quota.paused_until:%H:%M} UTC.")
        ]
    return [Finding("quota_used_up", f"{told}.")] if quota.used >= quota.limit else []


def _of_database(of: _Deployment, settings: Settings) -> list[Finding]:
    found = [
        Finding("not_decryptable", f"{field} of {'the plugin' if owner == 'plugin' else owner}.")
        for owner, field in unreadable_of(of.sealed, _keyring(settings))
    ]
    if not of.processes:
        found.append(Finding("worker_not_running", "No process told of itself in the last minute."))
    for process in of.processes:
        found += _clocks(process)
    for refused in of.refusals:
        if refused.cause.startswith("signature") and refused.last_at > clock.now() - RECENT:
            told = (
                f"{refused.refused:,} refused ({refused.cause}), last {_minute(refused.last_at)}."
            )
            found.append(Finding("signature_failing", told))
    for scope in scopes_seen(of.scopes):
        if scope.is_refused and scope.refused_at is not None:
            told = f"{scope.name}, last refused {_minute(scope.refused_at)}."
            found.append(Finding("scope_missing", told))
    return found + unknown_websites(of.unknown)


def _keyring(settings: Settings) -> Keyring | None:
    try:
        return load_keyring(settings)
    except Refused:
        return None


def _clocks(process: StoredRow) -> list[Finding]:
    others = (
        ("the database's", process.ahead_of_database_ms),
        ("Crisp's", process.ahead_of_crisp_ms),
    )
    return [
        Finding(
            "clock_off",
            f"{process.name} is {abs(ms) / 1000:,.0f} s {'ahead of' if ms > 0 else 'behind'} {whose}.",
        )
        for whose, ms in others
        if ms is not None and abs(ms) > CLOCK_OFF_MS
    ]


async def _ask(
    db: Database, settings: Settings, credential: PluginCredential, rows: Sequence[StoredRow]
) -> list[Finding]:
    asked = [row.id for row in rows if row.status not in {"disconnected", "uninstalled"}]
    try:
        async with opened_client(db, settings) as client:
            troubles = await ask_crisp(client, asked, credential.plugin_id)
    except CrispsyncError as error:
        return [Finding("crisp_unreachable", error.message)]
    return [_finding(trouble) for trouble in troubles]


def _finding(trouble: Trouble) -> Finding:
    return Finding(_CAUSE_OF[trouble.kind], trouble.sentence, trouble.website_id)


def _merged(stored: list[Finding], asked: list[Finding]) -> list[Finding]:
    """What Crisp says now replaces what was kept of the same."""
    now = {(finding.cause, finding.website_id) for finding in asked}
    return [one for one in stored if (one.cause, one.website_id) not in now] + asked


def _minute(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
