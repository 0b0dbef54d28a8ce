"""The mapping of Crisp's fields as a form, with a live example from a real contact (SPEC D1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.accounts.audit import audit
from app.clock import from_ms
from app.contacts.mapping import COLUMNS, DEFAULT, effective
from app.contacts.remap import FIXED, change_mapping
from app.contacts.tables import contacts
from app.errors import Refused
from app.pages.wording import attribute_name, plain_value
from app.websites.preferences import require_configurable

FIELD = "to:"
"""What the names of the form's fields begin with; Crisp's path follows."""
MOST_PATHS = 200
_ATTRIBUTE = re.compile(r"attributes\.[a-z0-9_.-]{1,64}")
_TIMES = frozenset({"active.last", "created_at"})


@dataclass(frozen=True, slots=True)
class Line:
    """`target` empty: left out. `fixed` ones cannot be changed."""

    path: str
    target: str
    default: str
    example: str
    fixed: bool

    @property
    def label(self) -> str:
        target = self.target.removeprefix("attributes.")
        return attribute_name(target) if target else ""


async def read_lines(
    connection: AsyncConnection, website_id: str, mapping: Mapping[str, str | None]
) -> tuple[list[Line], Any]:
    """All paths that Crisp's profiles may have here, and the contact whose values stand beside them."""
    example = (
        await connection.execute(
            select(contacts.c.id, contacts.c.name, contacts.c.email, contacts.c.crisp_fields)
            .where(
                contacts.c.website_id == website_id,
                contacts.c.deleted_at.is_(None),
                contacts.c.crisp_people_id.is_not(None),
            )
            .order_by(contacts.c.last_active_at.desc(), contacts.c.id)
            .limit(1)
        )
    ).one_or_none()
    fields: dict[str, Any] = dict(example.crisp_fields) if example else {}
    targets = effective(mapping)
    own = sorted(path for path in fields if path.startswith("data.") or path in mapping)
    paths = list(dict.fromkeys([*DEFAULT, *own, *sorted(mapping)]))[:MOST_PATHS]
    return [_line(path, targets, mapping, fields) for path in paths], example


def _line(
    path: str,
    targets: Mapping[str, str],
    mapping: Mapping[str, str | None],
    fields: Mapping[str, Any],
) -> Line:
    default = DEFAULT.get(path, f"attributes.{path}")
    target = targets.get(path, "" if path in mapping else default)
    value = fields.get(path)
    moment = from_ms(value) if path in _TIMES else None
    shown = f"{moment:%Y-%m-%d %H:%M} UTC" if moment else plain_value(value)
    return Line(path, target, default, shown, path in FIXED)


def read_mapping(typed: Mapping[str, str]) -> dict[str, str | None]:
    """What differs from the default. Raises Refused with the first that is wrong."""
    chosen: dict[str, str | None] = {}
    for name, value in typed.items():
        path = name.removeprefix(FIELD)
        if not name.startswith(FIELD) or path in FIXED or len(path) > 200:
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
