"""Which field of Crisp's goes where, as a person or a program chooses it (SPEC D1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.accounts.audit import audit
from app.contacts.mapping import COLUMNS, DEFAULT
from app.contacts.remap import FIXED, change_mapping
from app.errors import Refused
from app.websites.preferences import require_configurable

MOST_PATHS = 200
_ATTRIBUTE = re.compile(r"attributes\.[a-z0-9_.-]{1,64}")


def read_targets(told: Mapping[str, str]) -> dict[str, str | None]:
    """Of targets by Crisp's path, empty for none, what differs from the default. Raises Refused, one reason."""
    chosen: dict[str, str | None] = {}
    for path, value in told.items():
        if path in FIXED or len(path) > 200:
            continue
        target = value.strip()
        if target and target not in COLUMNS and not _ATTRIBUTE.fullmatch(target):
            raise Refused(
                f"“{target[:60]}” is nothing to map to: write {', '.join(sorted(set(COLUMNS) - FIXED))}, "
                "or attributes. and a name of letters, digits, _ and - in lower case."
            )
        if target != DEFAULT.get(path, f"attributes.{path}"):
            chosen[path] = target or None
    if len(chosen) > MOST_PATHS:
        raise Refused(f"At most {MOST_PATHS} fields can be mapped by hand.")
    return chosen


async def save_mapping(
    connection: AsyncConnection, actor: Actor, website_id: str, chosen: Mapping[str, str | None]
) -> int:
    """Applied to what is stored, without asking Crisp; how many contacts changed."""
    website = await require_configurable(connection, actor, website_id)
    changed = await change_mapping(connection, website_id, chosen)
    await audit(
        connection,
        actor,
        "mapping.changed",
        website_id=website_id,
        subject=("website", website_id),
        before=website.mapping,
        after={**chosen},
    )
    return changed
