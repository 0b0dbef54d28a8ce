"""Countries: ISO 3166 codes, and the names that people write for them, from the Unicode CLDR (SPEC I5)."""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import lru_cache

from babel import Locale
from babel.core import get_global

from app.contacts.problems import Wrong
from app.contacts.values import Read

_LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "nl")
_NO_COUNTRIES = frozenset({"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"})
# Names in use that the CLDR does not list as the first.
_OTHERS = {
    "GB": "great britain, england, scotland, wales, northern ireland, grande bretagne, angleterre",
    "US": "united states of america, america, etats unis d amerique, vereinigte staaten von amerika",
    "NL": "holland, the netherlands, hollande, holanda",
    "CZ": "czech republic, republique tcheque, tschechische republik, republica checa",
    "TR": "turkey",
    "CI": "ivory coast",
    "MM": "burma",
    "MK": "macedonia",
    "SZ": "swaziland",
    "CV": "cape verde",
    "VA": "vatican, holy see",
    "KR": "republic of korea, korea",
    "RU": "russian federation",
    "HK": "hong kong",
    "MO": "macau",
    "CD": "democratic republic of the congo",
    "CG": "congo",
}


@lru_cache(maxsize=4096)
def country(cell: str) -> Read:
    """The code; a name or a longer code is converted, with a note. Raises Wrong."""
    code = cell.upper()
    if code in codes():
        return Read(code)
    found = _alias(code) or _names().get(_plain(cell))
    if found is None:
        near = difflib.get_close_matches(_plain(cell), _names(), n=1, cutoff=0.75)
        advice = f"Did you mean {_names()[near[0]]}?" if near else "Write its code, as US."
        raise Wrong("country_unknown", "This is no country.", advice)
    return Read(found, ("country_converted", f"Read as {found}."))


@lru_cache(maxsize=1)
def codes() -> frozenset[str]:
    named = Locale("en").territories
    return frozenset(str(c) for c in named if re.fullmatch(r"[A-Z]{2}", str(c))) - _NO_COUNTRIES


def _alias(code: str) -> str | None:
    """`USA`, `840` and `UK` to what is meant, where that is one country."""
    if not re.fullmatch(r"[A-Z]{2,3}|\d{3}", code):
        return None
    meant = get_global("territory_aliases").get(code, ())
    return meant[0] if len(meant) == 1 and meant[0] in codes() else None


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    names = {_plain(name): code for code, listed in _OTHERS.items() for name in listed.split(",")}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if code in codes():
                names.setdefault(_plain(name), code)
    return names


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return " ".join(
        word for word in letters.split() if word not in {"the", "and", "et", "y", "und"}
    )
