"""What to type into Crisp's Marketplace form, and what was seen working of it (SPEC H2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.crisp.budget import credential_key
from app.crisp.scopes import SCOPES, outcomes_query
from app.db.base import AnySelect, StoredRow


@dataclass(frozen=True, slots=True)
class ScopeSeen:
    """`tested`: some route needs it, so that an answer can tell."""

    name: str
    purpose: str
    tested: bool
    worked_at: datetime | None
    refused_at: datetime | None

    @property
    def is_refused(self) -> bool:
        """Refused since it last worked."""
        if self.refused_at is None:
            return False
        return self.worked_at is None or self.refused_at > self.worked_at


async def read_scopes(connection: AsyncConnection, identifier: str | None) -> list[ScopeSeen]:
    return scopes_seen((await connection.execute(scopes_query(identifier))).all())


def scopes_query(identifier: str | None) -> AnySelect:
    """Rows for `scopes_seen`; none without a credential."""
    return outcomes_query(credential_key(identifier) if identifier else "")


def scopes_seen(outcomes: Iterable[StoredRow]) -> list[ScopeSeen]:
    """Each scope with its row of `outcomes`, if it has one."""
    seen = {row.scope: row for row in outcomes}
    return [
        ScopeSeen(
            scope.name,
            scope.purpose,
            scope.route is not None,
            seen[scope.name].worked_at if scope.name in seen else None,
            seen[scope.name].refused_at if scope.name in seen else None,
        )
        for scope in SCOPES
    ]


def install_link(plugin_id: str | None) -> str | None:
    """Source: crisp/REFERENCE.md section 2, point 1."""
    return f"https://app.crisp.chat/initiate/plugin/{plugin_id}/" if plugin_id else None


def addresses(public_url: str) -> dict[str, str]:
    """What the form asks for to what to enter."""
    base = public_url.rstrip("/")
    return {
        "Web hook URL": f"{base}/webhooks/crisp",
        "Settings page URL": f"{base}/plugin/settings",
        "Callback URL": f"{base}/plugin/callback",
    }
