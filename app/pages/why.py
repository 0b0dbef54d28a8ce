"""Why a conversation is where it is: the rule, the evidence, and what would change it (SPEC M6). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.pages.wording import contact_name, reason_remedy, reason_sentence, shortened


@dataclass(frozen=True, slots=True)
class Why:
    """`tone` is good, warn or bad; `value` is what matched, `caution` what weakens it."""

    tone: str
    sentence: str
    rule: str = ""
    value: str = ""
    full_value: str = ""
    cautions: tuple[str, ...] = ()
    remedy: str = ""


def why_of(row: Any) -> Why:
    return _matched(row) if row.contact_id else _unmatched(row)


def _unmatched(row: Any) -> Why:
    reason = row.unmatched_reason or ""
    return Why(
        "warn",
        reason_sentence(reason),
        value=row.email or "",
        full_value=row.email or "",
        remedy=reason_remedy(reason),
    )


def _matched(row: Any) -> Why:
    sentence, rule = _RULES.get(row.match_rule, _UNKNOWN)
    value = row.match_value or ""
    # The address is what a person wrote to; an id is only recognised, so it is shortened.
    shown = value if row.match_rule == "email" else shortened(value)
    cautions = tuple(_cautions(row))
    return Why("warn" if cautions else "good", sentence, rule, shown, value, cautions)


_RULES = {
    "people_id": ("Crisp itself names this person for the conversation.", "Crisp people id"),
    "email": ("The visitor's address is an address of this contact.", "e-mail address"),
    "manual": ("A person linked it here; no rule changes that.", "linked by"),
}
_UNKNOWN = ("It is linked to this contact.", "")


def _cautions(row: Any) -> list[str]:
    found = []
    if row.match_rule == "email" and not row.match_verified:
        found.append(
            "The visitor typed this address and Crisp has not verified it: it could be anybody's."
        )
    if row.conflicting_contact_id:
        rival = contact_name(row.rival_name, row.rival_email, "another contact")
        found.append(f"Its e-mail address belongs to {rival}; the Crisp people id counts more.")
    return found
