"""Fields that the winner of a merge takes from the loser, and gives back when it is taken back. Pure.

A field is a column, `attributes.<key>`, or `owner`: [id, name]. Of each the journal keeps
{"before", "after", "source"}: what the winner had, what it got, and who had written the former.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import Refused

Taken = dict[str, dict[str, Any]]
OWNER = "owner"
_ATTRIBUTE = "attributes."


def value_of(row: Any, name: str) -> Any:
    """None for nothing."""
    if name == OWNER:
        return [row.owner_id, row.owner_name] if row.owner_name else None
    if name.startswith(_ATTRIBUTE):
        return row.attributes.get(name.removeprefix(_ATTRIBUTE))
    return getattr(row, name)


def fields_of(rows: Iterable[Any], columns: Collection[str]) -> list[str]:
    """All fields in which these rows can differ: columns, owner, then attributes by name."""
    keys = {key for row in rows for key in row.attributes}
    return [*columns, OWNER, *(f"{_ATTRIBUTE}{key}" for key in sorted(keys))]


def differing(winner: Any, loser: Any, columns: Collection[str]) -> list[str]:
    """Where the two have not the same, and the loser has something."""
    return [
        name
        for name in fields_of((winner, loser), columns)
        if value_of(loser, name) is not None and value_of(winner, name) != value_of(loser, name)
    ]


def take(
    winner: Any,
    loser: Any,
    chosen: Collection[str],
    columns: Collection[str],
    sources: Mapping[str, Any],
) -> Taken:
    """What the winner takes. Raises Refused for a field that the loser does not have."""
    possible = differing(winner, loser, columns)
    same = set(fields_of((winner, loser), columns)) - set(possible)
    unknown = sorted(set(chosen) - set(possible) - same)
    if unknown:
        raise Refused(f"There is no field {unknown[0]} to take from the other one.")
    return {
        name: {
            "before": value_of(winner, name),
            "after": value_of(loser, name),
            "source": sources.get(name),
        }
        for name in possible
        if name in chosen
    }


@dataclass(slots=True)
class GivenBack:
    """`restored`: field to its entry in the journal; `later`: merge id to its fields, rewritten;
    `kept`: fields that somebody changed since.
    """

    restored: Taken = field(default_factory=dict)
    later: dict[str, Taken] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


def give_back(winner: Any, taken: Taken, later: Iterable[tuple[str, Taken]]) -> GivenBack:
    """`later`: merge id and fields of those that the same winner made afterwards, in their order.

    A field that a later merge took as well keeps what that one gave it; only what it will give back
    becomes what there was before this one.
    """
    back = GivenBack()
    after = list(later)
    for name, entry in taken.items():
        next_one = next(((key, fields) for key, fields in after if name in fields), None)
        if next_one is not None and next_one[1][name]["before"] == entry["after"]:
            key, fields = next_one
            rewritten = back.later.setdefault(key, dict(fields))
            rewritten[name] = {
                **fields[name], "before": entry["before"], "source": entry["source"]
            }  # fmt: skip
        elif next_one is None and value_of(winner, name) == entry["after"]:
            back.restored[name] = entry
        else:
            back.kept.append(name)
    return back


def written(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row with these fields set."""
    attributes = dict(row.attributes)
    columns: dict[str, Any] = {}
    for name, value in values.items():
        if name == OWNER:
            columns["owner_id"], columns["owner_name"] = value or (None, None)
        elif not name.startswith(_ATTRIBUTE):
            columns[name] = value
        elif value is None:
            attributes.pop(name.removeprefix(_ATTRIBUTE), None)
        else:
            attributes[name.removeprefix(_ATTRIBUTE)] = value
    return {**columns, "attributes": attributes}
