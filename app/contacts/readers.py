"""What a text means in a field of a contact, and the text that shows a value: for files, forms and programs.

Keys are columns of a contact or `attributes.<key>`. Each reader takes a text that is not empty, without
outer space, and raises Wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

import orjson

from app.contacts import lists, values
from app.contacts.attributes import Attribute
from app.contacts.countries import country
from app.contacts.problems import Wrong
from app.contacts.values import Read

Reader = Callable[[str], Read]

NAME: Reader = values.limited(500)
LINE: Reader = values.limited(300)
TEXT: Reader = values.limited(10_000)
LONGEST_SEGMENT, MOST_SEGMENTS = 100, 200

PROFILE: Mapping[str, Reader] = {
    "avatar": values.web_address,
    "attributes.job_title": LINE,
    "attributes.role": LINE,
    "attributes.country": country,
    "attributes.region": LINE,
    "attributes.city": LINE,
    "attributes.time_zone": values.time_zone,
    "attributes.locales": values.locales,
}
TIMES = ("signed_up_at", "last_active_at")


def custom_reader(attribute: Attribute, zone: tzinfo) -> Reader:
    """For a custom attribute of its type (SPEC I3)."""
    match attribute.type:
        case "integer":
            return values.integer
        case "decimal":
            return values.decimal
        case "yes_no":
            return values.yes_no
        case "date":
            return lambda cell: values.custom_date(cell, zone)
        case "choice":
            return lambda cell: Read(values.one_of(cell, attribute.choices))
        case "multi_choice":
            return lambda cell: Read(
                [values.one_of(part, attribute.choices) for part in lists.split(cell, "|")]
            )
        case _:
            return TEXT


def segments(cell: str, separators: str = "|,") -> Read:
    found = lists.split(cell, separators)
    if len(found) > MOST_SEGMENTS or any(len(segment) > LONGEST_SEGMENT for segment in found):
        raise Wrong(
            "too_long",
            f"At most {MOST_SEGMENTS} segments of {LONGEST_SEGMENT} characters.",
            "Check the separator of segments.",
        )
    return Read(found)


def shown(value: Any) -> str:
    """A plain value as the text of a cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    return str(value)


def text_of(value: Any) -> str:
    """A value as the text that is read as the same value."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return lists.joined(value, "|")
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else shown(value)
