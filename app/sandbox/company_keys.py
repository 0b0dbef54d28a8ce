"""Which company a profile states, and under which key (SPEC D6)."""

import unicodedata
from typing import Any, NamedTuple

from app.sandbox.addresses import domain_form

Json = dict[str, Any]


class Stated(NamedTuple):
    """A company as a profile states it; ``key`` is ``domain:…`` or ``name:…``."""

    key: str
    name: str
    domain: str


def name_form(name: str) -> str:
    """NFKC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def stated_company(profile: Json) -> Stated | None:
    """From ``company`` if that has a name or a domain, else from ``person.employment``."""
    person = profile.get("person") or {}
    for place in (profile.get("company"), person.get("employment")):
        name, domain = _text(place, "name"), domain_form(_text(place, "domain"))
        if name or domain:
            key = f"domain:{domain}" if domain else f"name:{name_form(name)}"
            return Stated(key, name, domain)
    return None


def _text(place: Any, field: str) -> str:
    value = place.get(field) if isinstance(place, dict) else None
    return value.strip() if isinstance(value, str) else ""
