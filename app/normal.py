"""The forms in which addresses, domains and names are compared."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

import idna

_MAX_ADDRESS = 320  # RFC 5321: 64 for the local part, 255 for the domain, one @
LONGEST_NORMAL_NAME = 200
_SCHEME_OR_WWW = re.compile(r"^(?:[a-z][a-z0-9+.-]*://)?(?:www\.)?", re.IGNORECASE)


@lru_cache(maxsize=65_536)
def normal_address(address: str | None) -> str | None:
    """The form in which addresses are compared, or None when it is no single address.

    NFC, outer space off, domain in IDNA ASCII and lower case, local part lower case; a plus-tag
    stays, since it is another address (SPEC M2, FAILURES case 62).
    """
    if not address or len(address) > _MAX_ADDRESS:
        return None
    local, at, domain = unicodedata.normalize("NFC", address).strip().rpartition("@")
    if not at or not local or not domain or (whole := f"{local}@{domain}").split() != [whole]:
        return None
    ascii_domain = _ascii_domain(domain)
    if ascii_domain is None or "@" in local:
        return None
    return f"{unicodedata.normalize('NFC', local.lower())}@{ascii_domain}"


def mail_domain(typed: str) -> str | None:
    """`@Bücher.example`, or an address there, to what follows the @ of normal addresses; else None."""
    address = normal_address(f"x@{typed.strip().rpartition('@')[2]}")
    return None if address is None else address.rpartition("@")[2]


def normal_domain(domain: str | None) -> str | None:
    """`https://www.Exämple.com/x` to `xn--exmple-cua.com`; None when it is no domain."""
    if not domain:
        return None
    return _ascii_domain(_SCHEME_OR_WWW.sub("", domain.strip()).split("/")[0].split(":")[0])


@lru_cache(maxsize=16_384)
def _ascii_domain(domain: str) -> str | None:
    bare = domain.rstrip(".")
    if not bare or len(bare) > 253 or any(c.isspace() or c in "/:" for c in bare):
        return None
    try:
        return idna.encode(bare, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        lowered = bare.lower()
        return lowered if lowered.isascii() and lowered.isprintable() else None


@lru_cache(maxsize=16_384)
def normal_company_name(name: str) -> str:
    """Compatibility form, case folded, spaces collapsed; long names end in a hash so that an index holds them."""
    folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    if len(folded) <= LONGEST_NORMAL_NAME:
        return folded
    return folded[:LONGEST_NORMAL_NAME] + hashlib.sha256(folded.encode()).hexdigest()[:16]


def fold_for_search(*parts: str | None) -> str:
    """What a search looks through: the parts in compatibility form, case folded, at most 1,000 characters."""
    joined = " ".join(part for part in parts if part)[:1000]
    return unicodedata.normalize("NFKC", joined).casefold()[:1000]
