"""What a cell means, field by field; what it cannot mean raises Wrong (SPEC I3 to I5).

Every function takes a cell that is not empty, without outer space.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from app import clock
from app.contacts.problems import Wrong
from app.normal import normal_address, normal_domain

_ADDRESS = re.compile(r"[^\s@,;:<>\"()\[\]\\]+@[^\s@,;:<>\"()\[\]\\]+\.[^\s@,;:<>\"()\[\]\\.]+")
_INSIDE = re.compile(r"[^\s@,;:<>\"()\[\]]+@[^\s@,;:<>\"()\[\]]+\.\w+")
_LOOKED_THROUGH = 1000
_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?")
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<time>[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)? ?(?P<offset>Z|[+-]\d{2}(:?\d{2})?)?)?",
    re.IGNORECASE,
)
_UNIX = re.compile(r"-?\d{1,17}")
_OTHER_DATE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})")
_YES = frozenset({"yes", "y", "true", "1", "on", "oui", "ja", "si", "sí", "x", "vrai", "wahr"})
_NO = frozenset({"no", "n", "false", "0", "off", "non", "nein", "faux", "falsch"})
_LOCALE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}")
_OFFSET = re.compile(r"(UTC|GMT)?[+-]\d{1,2}(:?\d{2})?", re.IGNORECASE)
_MILLISECONDS = 10**11


class Read(NamedTuple):
    """A value, and what was done to get it when that should be looked at."""

    value: Any
    note: tuple[str, str] | None = None  # code, reason


def address(cell: str) -> str:
    """One e-mail address, as it was written."""
    text = cell.removeprefix("mailto:")
    domain_part = text.rpartition("@")[2]
    if _ADDRESS.fullmatch(text) and ".." not in domain_part and normal_address(text) is not None:
        return text
    # What it finds takes the square of the length: a cell may have 100,000 characters.
    inside = _INSIDE.findall(text[:_LOOKED_THROUGH])
    if len(inside) > 1:
        raise Wrong("email_several", "More than one address stands here.", f"Keep {inside[0]}.")
    advice = f"Write {inside[0]}." if inside and inside[0] != text else ""
    raise Wrong("email_invalid", "This is no e-mail address.", advice)


def limited(most: int) -> Any:
    def text(cell: str) -> Read:
        if len(cell) > most:
            raise Wrong(
                "too_long",
                f"{len(cell):,} characters are too many: at most {most:,}.",
                "Shorten it.",
            )
        return Read(cell)

    return text


def integer(cell: str) -> Read:
    text = cell.replace("\u2212", "-")
    if not _INTEGER.fullmatch(text):
        raise Wrong("number_invalid", "This is no whole number.", _without_groups(text))
    if len(text.lstrip("+-")) > 1 and text.lstrip("+-").startswith("0"):
        raise Wrong(
            "leading_zero",
            "A number does not begin with 0.",
            "Make the column text: it holds codes.",
        )
    value = int(text) if len(text) < 20 else 1 << 63
    if abs(value) >= 1 << 53:
        raise Wrong(
            "number_too_big", "This number is too big to be kept exactly.", "Make the column text."
        )
    return Read(value)


def decimal(cell: str) -> Read:
    text = cell.replace("\u2212", "-")
    if not _DECIMAL.fullmatch(text):
        raise Wrong("number_invalid", "This is no decimal number.", _without_groups(text))
    value = float(text)
    if abs(value) > 1e300:
        raise Wrong("number_too_big", "This number is too big.", "Make the column text.")
    return Read(int(value) if value.is_integer() and abs(value) < 1 << 53 else value)


def _without_groups(text: str) -> str:
    bare = text.replace(" ", "").replace("\u00a0", "")
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})*,\d+|[+-]?\d+,\d+", bare):
        return f"Write {bare.replace('.', '').replace(',', '.')}."
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", bare):
        return f"Write {bare.replace(',', '')}."
    return "Write digits only, with a point before decimals."


def yes_no(cell: str) -> Read:
    word = cell.lower()
    if word in _YES or word in _NO:
        return Read(word in _YES)
    raise Wrong("yes_no_invalid", "This is neither yes nor no.", "Write yes or no.")


def moment(cell: str, zone: tzinfo) -> Read:
    """UTC, between 1990 and 2100: ISO 8601, Unix seconds, or Unix milliseconds from 10¹¹ on."""
    if _UNIX.fullmatch(cell):
        number = int(cell)
        found = clock.from_ms(number if abs(number) >= _MILLISECONDS else number * 1000)
        if found is None:
            raise Wrong(
                "date_invalid", "As Unix time this lies outside 1990 to 2100.", _DATE_ADVICE
            )
        return Read(found)
    iso = _ISO.fullmatch(cell)
    found, note = _iso(cell, iso, zone) if iso else (None, None)
    if found is None or clock.from_ms(clock.to_ms(found)) is None:
        raise Wrong("date_invalid", _why_no_date(cell, found), _better_date(cell))
    return Read(found, note)


_DATE_ADVICE = "Write it as 2026-01-31 or 2026-01-31T14:30:00+01:00."


def _iso(
    cell: str, iso: re.Match[str], zone: tzinfo
) -> tuple[datetime | None, tuple[str, str] | None]:
    try:
        told = datetime.fromisoformat(re.sub(r"(?<=\d) (?=[Zz+-])", "", cell).upper())
        if told.tzinfo is not None:
            return told.astimezone(UTC), None
        local = told.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None, None
    if not iso["time"]:
        return local, None
    return local, ("no_offset", "No offset is given, so the website's time zone was taken.")


def _why_no_date(cell: str, found: datetime | None) -> str:
    if found is not None:
        return "This lies outside 1990 to 2100."
    return "The calendar has no such day or time." if _ISO.fullmatch(cell) else "This is no date."


def _better_date(cell: str) -> str:
    found = _OTHER_DATE.fullmatch(cell)
    if not found:
        return _DATE_ADVICE
    first, second, year = (int(part) for part in found.groups())
    readings = [_day(year, second, first), _day(year, first, second)]
    good = list(dict.fromkeys(day for day in readings if day))
    return f"Write {' or '.join(good)}." if good else _DATE_ADVICE


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def custom_date(cell: str, zone: tzinfo) -> Read:
    """A day as `2026-01-31`, in any century; a moment as `2026-01-31T13:30:00Z`."""
    iso = _ISO.fullmatch(cell)
    if iso and not iso["time"]:
        if _day(*(int(part) for part in cell.split("-"))) is None:
            raise Wrong("date_invalid", "The calendar has no such day.", _DATE_ADVICE)
        return Read(cell)
    found = moment(cell, zone)
    return Read(found.value.isoformat().replace("+00:00", "Z"), found.note)


def web_address(cell: str) -> Read:
    """Nothing but http or https: it may become a link or a picture (FAILURES case 69)."""
    if len(cell) > 2000 or not re.fullmatch(
        r"https?://[^\s<>\"'/]+\.?[^\s<>\"]*", cell, re.IGNORECASE
    ):
        raise Wrong(
            "url_invalid", "This is no web address.", "Write it as https://host/picture.png."
        )
    return Read(cell)


def domain(cell: str) -> Read:
    found = normal_domain(cell)
    if found is None or "." not in found or len(cell) > 2000:
        raise Wrong(
            "url_invalid",
            "This is no web address of a company.",
            "Write it as https://acme.example.",
        )
    return Read(found)


def time_zone(cell: str) -> Read:
    """A name of the IANA list, or an offset as text."""
    if cell in _zones() or _OFFSET.fullmatch(cell):
        return Read(cell)
    known = _zones_lowered().get(cell.lower())
    if known is None:
        raise Wrong("time_zone_unknown", "This is no time zone.", "Write it as Europe/Paris.")
    return Read(known)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    from zoneinfo import available_timezones

    return frozenset(available_timezones())


@lru_cache(maxsize=1)
def _zones_lowered() -> dict[str, str]:
    return {name.lower(): name for name in _zones()}


def locales(cell: str) -> Read:
    found = [part.strip() for part in re.split(r"[|,; ]", cell) if part.strip()]
    for part in found:
        if not _LOCALE.fullmatch(part):
            raise Wrong("locale_invalid", f"{part[:40]} is no locale.", "Write it as en-GB|fr-FR.")
    return Read(list(dict.fromkeys(part.replace("_", "-") for part in found)))


def one_of(cell: str, choices: Sequence[str]) -> str:
    if cell in choices:
        return cell
    folded = {choice.casefold(): choice for choice in choices}
    if cell.casefold() in folded:
        return folded[cell.casefold()]
    listed = ", ".join(choices[:8]) + (", …" if len(choices) > 8 else "")
    raise Wrong("choice_unknown", f"“{cell[:60]}” is none of its values.", f"Choose {listed}.")
