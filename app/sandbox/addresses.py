"""When two e-mail addresses are the same one (SPEC M2), worked out apart from crispsync's code."""

import unicodedata

import idna


def email_form(raw: object) -> str | None:
    """NFC, no surrounding space, domain as lower-case ASCII, local part lower-cased.

    Plus tags stay: they make different addresses. None for what is no address.
    """
    if not isinstance(raw, str):
        return None
    local, at, domain = unicodedata.normalize("NFC", raw).strip().rpartition("@")
    if not (at and local and domain):
        return None
    return f"{local.lower()}@{domain_form(domain)}"


def domain_form(domain: str) -> str:
    """A domain as lower-case ASCII; one that is no valid name is only lower-cased."""
    lowered = unicodedata.normalize("NFC", domain).strip().lower()
    if lowered.isascii():
        return lowered
    try:
        return idna.encode(lowered, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return lowered
