"""The client and budget of this deployment's credential (SPEC P1)."""

from __future__ import annotations

from collections.abc import Callable

from app.crisp.budget import Budget
from app.crisp.client import Credential, CrispClient
from app.db.session import Database
from app.errors import Refused
from app.settings import Settings


def open_client(
    db: Database, settings: Settings, sharers: Callable[[], frozenset[str]] = frozenset
) -> CrispClient:
    """Raises Refused when no credential is set."""
    credential = require_credential(settings)
    budget = Budget(db, credential.identifier, settings.crisp_daily_quota, sharers)
    return CrispClient(settings.crisp_api_url, credential, budget, settings.crisp_concurrency)


def require_credential(settings: Settings) -> Credential:
    """Raises Refused when none is set."""
    if not settings.crisp_identifier or settings.crisp_key is None:
        raise Refused(
            "There is no Crisp credential: set CRISP_IDENTIFIER and CRISP_KEY to the plugin's token "
            "(Crisp Marketplace, your plugin, Tokens)."
        )
    return Credential(settings.crisp_identifier, settings.crisp_key.get_secret_value())
