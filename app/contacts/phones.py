"""Phone numbers, kept as E.164 where a prefix is known (SPEC I5).

Every reader takes a cell that is not empty, without outer space.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

import phonenumbers

from app.contacts.problems import Wrong
from app.contacts.values import Read

_WRITTEN = re.compile(r"\+[1-9][0-9 ().-]{5,24}")
_PUNCTUATION = {ord(c): None for c in "+ ().-"}


def phone(cell: str, region: str | None) -> Read:
    """E.164 where a prefix is known; without any, its digits."""
    text = f"+{cell[2:]}" if cell.startswith("00") else cell
    if (plain := _plain_number(text)) is not None:
        return Read(plain)
    return _parsed(text, region)


class _Plan(NamedTuple):
    """What stands before national numbers and is no part of them, and how long they may be."""

    prefix: re.Pattern[str] | None
    lengths: frozenset[int]


def _plain_number(text: str) -> str | None:
    """What the library makes of a number that is written in full; None for any that takes more thought.

    In a file nearly all are such, and the library takes as long for one as everything else does
    for its row.
    """
    if not _WRITTEN.fullmatch(text):
        return None
    digits = text.translate(_PUNCTUATION)
    plans = _plans()
    size = next((size for size in (1, 2, 3) if digits[:size] in plans), 0)
    if not size:
        return None
    plan, national = plans[digits[:size]], digits[size:]
    if len(national) not in plan.lengths or national.startswith("0"):
        return None
    return None if plan.prefix and plan.prefix.match(national) else f"+{digits}"


@lru_cache(maxsize=1)
def _plans() -> dict[str, _Plan]:
    found: dict[str, _Plan] = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        metadata = phonenumbers.PhoneMetadata
        told: Any = metadata.metadata_for_region_or_calling_code(code, regions[0])
        general = told.general_desc
        lengths = {*general.possible_length, *general.possible_length_local_only}
        prefix = told.national_prefix_for_parsing
        found[str(code)] = _Plan(re.compile(prefix) if prefix else None, frozenset(lengths))
    return found


def _parsed(text: str, region: str | None) -> Read:
    if not text.startswith("+") and region is None:
        return _bare_phone(text)
    number = _number(text, region)
    note = None
    if number.extension:
        note = ("phone_extension", f"The extension {number.extension} was left out.")
    return Read(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), note)


def _number(text: str, region: str | None) -> Any:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise Wrong("phone_invalid", "This is no phone number.", _PHONE_ADVICE) from None
    if not phonenumbers.is_possible_number(number):
        raise Wrong("phone_invalid", "No phone number has so many digits there.", _PHONE_ADVICE)
    return number


_PHONE_ADVICE = "Write it as +34651234567."


def _bare_phone(text: str) -> Read:
    digits = re.sub(r"[\s().\u00a0/\u2010-\u2015-]", "", text)
    if not (digits.isascii() and digits.isdigit() and 3 <= len(digits) <= 15):
        raise Wrong("phone_invalid", "This is no phone number.", _PHONE_ADVICE)
    return Read(digits)


@lru_cache(maxsize=512)
def region_of_prefix(prefix: str) -> str | None:
    """`+34` to `ES`; None when there is no such prefix."""
    digits = prefix.strip().removeprefix("+").removeprefix("00")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3):
        return None
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits), ())
    return regions[0] if regions and regions[0] != "001" else None
