"""Words for what the tables hold: one way to say a thing, everywhere."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from app.pages.listing import read_day
from app.pages.text import clean, one_line

STATUSES = ("unresolved", "pending", "resolved")
REASONS: dict[str, tuple[str, str, str]] = {
    "denied": (
        "Link denied",
        "A person said that this conversation does not belong to the contact the rules found.",
        "Link it to the right contact, or leave it as it is.",
    ),
    "ambiguous_email": (
        "Address shared by several contacts",
        "Two or more contacts have this address, and crispsync does not guess between them.",
        "Merge those contacts, or correct the wrong one; the link then makes itself.",
    ),
    "contact_removed": (
        "Contact was removed",
        "The contact behind it was deleted, in Crisp or here.",
        "Restore the contact and it links itself again, or link it to another one.",
    ),
    "unknown_person": (
        "Person not imported",
        "Crisp names a person for it whose profile is not here yet.",
        "A full sync reads all profiles; the link then makes itself.",
    ),
    "unknown_email": (
        "Address not known",
        "The visitor gave an address that no contact has.",
        "Make a contact of it, link it to one, or tie its domain to a company; whoever comes from Crisp or a CSV file with this address is linked by itself.",
    ),
    "no_identity": (
        "Anonymous visitor",
        "The visitor gave no address and Crisp names no person for it.",
        "Ask for the address in the chat: as soon as Crisp knows it, it is looked up here. Or leave it as it is.",
    ),
}
_OTHER_REASON = (
    "No contact found",
    "No contact was found for it.",
    "It links itself as soon as a contact with its address or Crisp id appears.",
)
KINDS = {
    "full": "Full sync",
    "incremental": "Incremental sync",
    "backfill": "Backfill",
    "audit": "Audit",
}
SOURCES = {"crisp": "Crisp", "csv": "CSV import", "api": "API", "manual": "entered by hand",
           "merged": "a contact merged into it"}  # fmt: skip
_ATTRIBUTES = {"job_title": "Job title", "company_name": "Company name"}


def reason_title(reason: str) -> str:
    return REASONS.get(reason, _OTHER_REASON)[0]


def reason_sentence(reason: str) -> str:
    return REASONS.get(reason, _OTHER_REASON)[1]


def reason_remedy(reason: str) -> str:
    return REASONS.get(reason, _OTHER_REASON)[2]


def origin_word(origin: object) -> str:
    """`urn:crisp.im:whatsapp:0` to `whatsapp`; `chat` and `email` as people say them."""
    text = clean(origin or "")
    if text in {"", "-"}:
        return "unknown origin"
    if text == "email":
        return "e-mail"
    parts = text.split(":")
    if parts[0] == "urn" and len(parts) > 2:
        return one_line(next((p for p in reversed(parts[1:]) if not p.isdigit()), text), 40)
    return one_line(text, 40)


def contact_name(name: object, *others: object) -> str:
    """The one way to name a contact or visitor: the first that is there and shows anything."""
    for candidate in (name, *others):
        if candidate and (shown := clean(candidate).strip()):
            return shown
    return "Unnamed contact"


def visitor_name(row: Any) -> str:
    """Whose conversation: the contact's name if linked, else what the visitor called itself."""
    if row.contact_id:
        return contact_name(row.contact_name, row.contact_email, row.nickname, row.email)
    if row.nickname or row.email:
        return contact_name(row.nickname, row.email)
    return "Unknown visitor"


def title_of(row: Any) -> str:
    """What a conversation is about: its subject, else how its last or first message begins."""
    for candidate in (row.subject, row.last_message, getattr(row, "first_words", None)):
        if candidate and (shown := one_line(candidate, 90)):
            return shown
    return "No subject"


def day_of_key(key: str) -> date | None:
    """The Monday that a week is named by."""
    return read_day(key)


def attribute_name(key: str) -> str:
    """`job_title` to `Job title`; the team's own keys (`data.plan`) stay as they are written."""
    if key.startswith("data."):
        return key.removeprefix("data.")
    return _ATTRIBUTES.get(key, key.replace("_", " ").strip().capitalize() or key)


def plain_value(value: object) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(plain_value(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain_value(item)}" for key, item in value.items())
    return str(value)


def shortened(identifier: object) -> str:
    """`b3c1…7f20`: enough to recognise an id beside another."""
    text = clean(identifier)
    return (
        text if len(text) <= 14 or not re.fullmatch(r"[\w-]+", text) else f"{text[:6]}…{text[-4:]}"
    )
