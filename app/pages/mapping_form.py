"""The mapping of Crisp's fields as a form, with a live example from a real contact (SPEC D1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.contacts.mapping import DEFAULT, effective
from app.contacts.remap import FIXED
from app.contacts.remap_by_hand import MOST_PATHS, read_targets
from app.contacts.tables import contacts
from app.pages.wording import attribute_name, plain_value

FIELD = "to:"
"""What the names of the form's fields begin with; Crisp's path follows."""
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
    return read_targets(
        {name.removeprefix(FIELD): text for name, text in typed.items() if name.startswith(FIELD)}
    )
