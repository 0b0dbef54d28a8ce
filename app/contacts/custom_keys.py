"""Keys of custom attributes: letters, digits, `_` and `-`, stored in lower case (SPEC I3)."""

from __future__ import annotations

import re
import unicodedata

from app.errors import Refused

_GOOD = re.compile(r"[a-z0-9_-]+")
_OTHERS = re.compile(r"[^a-z0-9_-]+")
LONGEST = 100


def custom_key(name: str) -> str:
    """The key as it is stored. Raises Refused with the reason and a key that would do."""
    key = name.strip().lower()
    if len(key) > LONGEST:
        raise Refused(f"“{key[:40]}…” is too long for a key: at most {LONGEST} characters.")
    if _GOOD.fullmatch(key):
        return key
    better = suggested_key(name)
    advice = f"; use {better}" if better else ""
    if not key:
        raise Refused("A key needs at least one letter or digit.")
    if any(c.isspace() for c in key):
        raise Refused(f"“{name.strip()}” cannot be a key: spaces are not allowed{advice}.")
    strange = next(c for c in key if not _GOOD.fullmatch(c))
    raise Refused(
        f"“{name.strip()}” cannot be a key: “{strange}” is not allowed, only letters, digits, _ and -{advice}."
    )


def suggested_key(name: str) -> str:
    """`Größe (cm)` to `grosse_cm`; empty when nothing of it can stand in a key."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    ascii_only = plain.encode("ascii", "ignore").decode()
    return _OTHERS.sub("_", ascii_only).strip("_-")[:LONGEST]
