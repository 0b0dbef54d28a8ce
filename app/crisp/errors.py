"""What Crisp's answers mean for the one who asked: a table of data, and the errors it leads to.

CrispError
├── Transient       passes by itself: network, 5xx, half an answer             tried again
├── Throttled       420, 423, 429: everybody who uses this quota waits          waits
├── AuthRejected    401, 403: the credential or a scope                         stops, needs a person
├── NotSubscribed   404 not_subscribed: the plugin is not on that website       stops the website
├── Gone            404 not_found: this one record does not exist (any more)    believed
├── Permanent       400 and other refusals: asking again changes nothing        gives up on this request
└── Circular        pages that lead nowhere or back                             gives up on this walk

Source: crisp/REFERENCE.md section 3.1, crisp/GAPS.md rows 16 and 29.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from app.errors import Failed

QUOTA_USED_UP = "Crisp's daily quota for this plugin is used up"
"""How the sentence begins that is kept with a pause, for all processes."""


class CrispError(Failed):
    """An answer of Crisp that is no data. `reason` is Crisp's word, safe to log."""

    def __init__(self, message: str, *, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Transient(CrispError):
    pass


class Throttled(CrispError):
    """`retry_after` is in seconds, None when Crisp does not say; `quota` when the day's quota is used up."""

    exit_code = 4

    def __init__(
        self, message: str, *, status: int, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after
        self.quota = status == 423 or "quota" in reason


class AuthRejected(CrispError):
    exit_code = 2


class NotSubscribed(CrispError):
    exit_code = 2


class Gone(CrispError):
    pass


class Permanent(CrispError):
    pass


class Circular(CrispError):
    pass


class Rule(NamedTuple):
    statuses: range
    reason: str  # a regular expression searched in Crisp's reason
    error: type[CrispError]
    sentence: str


# The first rule that fits decides.
RULES = (
    Rule(range(420, 421), "", Throttled, "Crisp asks to slow down"),
    Rule(range(423, 424), "", Throttled, QUOTA_USED_UP),
    Rule(range(429, 430), "quota", Throttled, QUOTA_USED_UP),
    Rule(range(429, 430), "", Throttled, "Crisp asks to slow down"),
    Rule(range(422, 423), "quota|rate", Throttled, "Crisp asks to slow down"),
    Rule(
        range(401, 402),
        "",
        AuthRejected,
        "Crisp rejects the plugin's credential: check CRISP_IDENTIFIER and CRISP_KEY "
        "(Marketplace, your plugin, Tokens)",
    ),
    Rule(
        range(400, 404),
        "restricted_route_tier",
        AuthRejected,
        "Crisp says this credential is of the wrong tier: crispsync needs a plugin token",
    ),
    Rule(
        range(403, 404),
        "",
        AuthRejected,
        "Crisp refuses access: the plugin's token lacks a scope for this (Marketplace, your "
        "plugin, Tokens, Scopes)",
    ),
    Rule(
        range(404, 405),
        "not_subscribed",
        NotSubscribed,
        "The plugin is not installed on this Crisp website",
    ),
    Rule(range(404, 405), "^not_found$", Gone, "Crisp does not have this record"),
    Rule(range(408, 409), "", Transient, "Crisp took too long"),
    Rule(range(500, 600), "", Transient, "Crisp has a problem of its own"),
    Rule(range(300, 600), "", Permanent, "Crisp refused the request"),
)


def error_for(status: int, reason: str, retry_after: float | None = None) -> CrispError:
    """The error that an answer with this status and reason stands for."""
    rule = next((r for r in RULES if status in r.statuses and re.search(r.reason, reason)), None)
    if rule is None:
        return Transient(f"Crisp answered {status}, which means nothing here.", status=status)
    word = f" ({status} {reason})" if reason else f" ({status})"
    sentence = rule.sentence + word + "."
    if rule.error is Throttled:
        return Throttled(sentence, status=status, reason=reason, retry_after=retry_after)
    return rule.error(sentence, status=status, reason=reason)
