"""What somebody wants done with conversations that have no contact, and what that would do (SPEC V5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import ColumnElement

from app.conversations.tables import conversations
from app.db.base import dump_json
from app.edits.ties import require_domain
from app.errors import Refused
from app.matching.rules import REASONS
from app.matching.settled import is_left_alone, is_open
from app.matching.statements import domain_of

Kind = Literal["create", "link", "tie", "ignore", "leave"]
MOST = 20_000
"""Conversations that one remedy is about, the newest; the website is held for seconds by them."""
MOST_CHOSEN = 200
NO_ADDRESS = "-"
CHUNK = 5_000

_c = conversations.c


@dataclass(frozen=True, slots=True)
class Wish:
    """Of the group with this reason and domain (`-`: without an address), or of the chosen `ids`.

    `create` makes a contact for each address; `link` pins to `contact_id`; `tie` gives the domains to
    `company_id`, or to a company that is made with `company_name`; `ignore` leaves the domains alone;
    `leave` leaves the conversations as they are, off the list until their reason changes.
    """

    kind: Kind
    reason: str | None = None
    domain: str | None = None
    ids: tuple[str, ...] = ()
    contact_id: str | None = None
    company_id: str | None = None
    company_name: str | None = None


@dataclass(frozen=True, slots=True)
class NewContact:
    address: str
    email: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """An address or domain that stays out, how many conversations it has, and why."""

    what: str
    conversations: int
    reason: str


@dataclass(slots=True)
class Effect:
    """`ids`: the conversations that change, newest first; `matched`: how many of them have a contact.

    `more`: further ones of the group, for the next time. `digest` is another one as soon as anything is.
    """

    wish: Wish
    ids: list[str] = field(default_factory=list)
    matched: int = 0
    new: list[NewContact] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    refused: list[Kept] = field(default_factory=list)
    more: int = 0

    @property
    def digest(self) -> str:
        wish = self.wish
        of = [wish.kind, wish.contact_id, wish.company_id, wish.company_name, sorted(self.ids),
              [[one.address, one.name] for one in self.new], sorted(self.domains)]  # fmt: skip
        return hashlib.blake2b(dump_json(of).encode(), digest_size=12).hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        return {
            "conversations": len(self.ids),
            "contacts": len(self.new),
            "domains": len(self.domains),
            "refused": sum(one.conversations for one in self.refused),
        }


def check_wish(wish: Wish) -> None:
    if wish.reason is not None and wish.reason not in REASONS:
        raise Refused("There is no such reason.")
    if wish.reason is None and wish.domain is None and not wish.ids:
        raise Refused("Choose a group, or at least one conversation.")
    if len(wish.ids) > MOST_CHOSEN:
        raise Refused(f"Choose at most {MOST_CHOSEN} conversations at once, or the whole group.")
    if wish.kind == "link" and not wish.contact_id:
        raise Refused("Choose the contact to link to.")
    if wish.kind == "tie" and (wish.company_id is None) == (wish.company_name is None):
        raise Refused("Choose a company, or name a new one.")
    by_domain = wish.kind in {"tie", "ignore"} and not wish.ids
    if by_domain and (wish.domain is None or wish.domain == NO_ADDRESS):
        raise Refused("Choose the domain, or conversations of the domains that you mean.")


def conversations_meant(website_id: str, wish: Wish) -> list[ColumnElement[bool]]:
    """Those of the wish that have no contact; of a group only what nobody settled yet."""
    found = [*unmatched_of(website_id)]
    if wish.ids:
        found.append(_c.id.in_(wish.ids))
        return [*found, ~is_left_alone()] if wish.kind == "leave" else found
    return [*found, *group_of(website_id, wish.reason, wish.domain)]


def unmatched_of(website_id: str) -> list[ColumnElement[bool]]:
    return [
        _c.website_id == website_id, _c.unmatched_reason.is_not(None), _c.deleted_at.is_(None)
    ]  # fmt: skip


def group_of(website_id: str, reason: str | None, domain: str | None) -> list[ColumnElement[bool]]:
    """Raises Refused where `domain` is none."""
    found = [is_open(website_id)]
    if reason is not None:
        found.append(_c.unmatched_reason == reason)
    if domain == NO_ADDRESS:
        found.append(_c.email_norm.is_(None))
    elif domain is not None:
        found.append(domain_of(_c.email_norm) == require_domain(domain))
    return found


def chunks(values: Iterable[str]) -> list[list[str]]:
    ordered = sorted(values)
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
