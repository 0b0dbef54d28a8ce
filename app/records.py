"""The one shape: what hooks, pulled pages and CSV rows become before `ingest` writes them.

A field that a source left out is absent from `fields`; a field it emptied is there with None (SPEC D5).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from app.normal import normal_company_name

Fields = dict[str, Any]

SETTLE_MS = 10 * 60_000
"""A record that tells an older time than a hook may be a stale copy for so long (FAILURES case 49)."""
MESSAGE_SETTLE_MS = 90_000
"""Shorter than the two minutes after which a run asks for the messages of a change (case 46)."""

_NAMESPACE = uuid.UUID("6b0c1f0e-6f0b-5c3c-9d0b-3f6d7f4f2f10")


class Version(NamedTuple):
    """How new a piece of news is: Crisp's time first, then when it was observed; both epoch ms.

    `direct` tells a GET of the record itself from a list page or hook: only it may revive
    what was removed before it began (SPEC D4). What a hook tells is observed when it happened.
    """

    crisp_ms: int
    observed_ms: int
    direct: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        """What decides between two pieces of news about a field of a contact or conversation."""
        return rank_of(self.crisp_ms, self.observed_ms)

    @property
    def message_rank(self) -> tuple[int, int]:
        """The same for a message, which has no time of its last change: the answer's time tells."""
        return rank_of(self.crisp_ms, self.observed_ms, MESSAGE_SETTLE_MS)


def rank_of(crisp_ms: int, observed_ms: int, settle_ms: int = SETTLE_MS) -> tuple[int, int]:
    """(as of, observed): a record is as of its own time, or of `settle_ms` before it was asked for.

    One without any time of its own counts as the oldest (FAILURES case 61).
    """
    return max(crisp_ms, observed_ms - settle_ms) if crisp_ms else 0, observed_ms


def is_removed(removed_ms: int | None, direct_ms: int | None) -> bool:
    """Removed in Crisp, and no GET of the record itself that began later has found it (SPEC D4)."""
    return removed_ms is not None and (direct_ms is None or direct_ms <= removed_ms)


@dataclass(frozen=True, slots=True)
class CompanyRef:
    """A company as a profile names it; at least one of the two is set (SPEC D6)."""

    name: str | None
    domain: str | None

    @property
    def key(self) -> tuple[str, str]:
        """(kind, value) of the alias that identifies it."""
        if self.domain:
            return ("domain", self.domain)
        return ("name", normal_company_name(self.name or ""))


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """A person as Crisp tells it. Keys of `fields` are Crisp's paths (`person.nickname`), values plain.

    `segments` and `custom_data` are complete sets, or None when the source says nothing of them.
    A record that is not `whole` is a hook's: single fields, and nothing about the others.
    """

    people_id: str
    fields: Fields
    raw: Fields
    version: Version
    segments: list[str] | None = None
    custom_data: Fields | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation as Crisp tells it; keys of `fields` are columns, `metadata` merges key by key.

    A record that is not `whole` is a hook's: single fields, and nothing about the others.
    """

    session_id: str
    fields: Fields
    metadata: Fields
    raw: Fields
    version: Version
    last_fingerprint: int | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class MessageRecord:
    session_id: str
    fingerprint: int
    direction: Literal["inbound", "outbound", "internal"]
    type: str
    body: str
    content: Any
    sender_id: str | None
    sender_name: str | None
    automated: bool
    edited: bool
    origin: str | None
    sent_at: datetime | None
    raw: Fields
    version: Version


@dataclass(frozen=True, slots=True)
class EditRecord:
    """New content of a message; who sent it and when is not told (crisp/REFERENCE.md section 8, pitfall 9)."""

    session_id: str
    fingerprint: int
    body: str
    content: Any
    version: Version


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    user_id: str
    name: str
    email: str | None
    role: str | None


Owner = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class MembershipEdit:
    """A company of a contact since when and until when, as a person tells it.

    Without `membership_id` it is new. `since` None: as old as the contact. Earlier conversations belong to
    the company too, unless it `limits` them (SPEC M3).
    """

    company_id: str
    since: datetime | None = None
    until: datetime | None = None
    limits: bool = False
    membership_id: str | None = None


@dataclass(frozen=True, slots=True)
class ContactEdit:
    """What a file, a person or a program says of one contact, beside what Crisp says (SPEC D7).

    Keys of `fields` are columns of a contact or `attributes.<key>`; None empties. `sources` tells for the
    same keys who wrote them (app/sources.py), None for nobody. With `made_by` the contact is new, and `email`
    its address. `segment_sources`, when given, are all its segments and their owners. `company` is one that it
    joins, or only describes when not `joins`; `membership_id` is to be the id of its membership. `closed`, `reopened` and `dropped` are ids of its memberships.
    `added_addresses` as written, `lost_addresses` in normal form; `owner` is the id and name of somebody of
    the team, (None, None) for nobody, None leaves it. `source` names who tells it.
    """

    contact_id: str
    fields: Fields = field(default_factory=dict)
    sources: Fields = field(default_factory=dict)
    made_by: Literal["csv", "api", "manual"] | None = None
    email: str | None = None
    segment_sources: dict[str, list[str]] | None = None
    company: CompanyRef | None = None
    source: str = "csv"
    joins: bool = True
    membership_id: str | None = None
    described: str | None = None
    closed: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    added_addresses: tuple[str, ...] = ()
    lost_addresses: tuple[str, ...] = ()
    owner: Owner | None = None
    memberships: tuple[MembershipEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class CompanyEdit:
    """What a person or a program says of one company, as a ContactEdit; aliases are (kind, normal value)."""

    company_id: str
    fields: Fields = field(default_factory=dict)
    sources: Fields = field(default_factory=dict)
    made: bool = False
    owner: Owner | None = None
    added_aliases: tuple[tuple[str, str], ...] = ()
    lost_aliases: tuple[tuple[str, str], ...] = ()


RecordKind = Literal["contact", "conversation", "message", "operator"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that could not be kept, and why; it ends in the list of failed records (SPEC V6)."""

    kind: RecordKind
    external_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ThreadProgress:
    """How far a thread was read, and the state of the conversation that it was read for.

    `back_to_ms` is where to go on reading backwards; None when its start was reached. `read_to_ms`
    is the time of the newest message that was read: everything before it is known, once the start
    was reached, which is not true of what hooks told. `asked_ms` is when the reading began;
    an `unsettled` thread is read again, since Crisp may not have shown its latest state. `shown` is
    how many messages the whole thread has, when none of them was stored before it was read.
    """

    session_id: str
    version_ms: int
    fingerprint: int | None
    back_to_ms: int | None
    read_to_ms: int | None = None
    asked_ms: int | None = None
    unsettled: bool = False
    shown: int | None = None


@dataclass(slots=True)
class Batch:
    """Everything one page brought, of one website."""

    website_id: str
    contacts: list[ContactRecord] = field(default_factory=list)
    conversations: list[ConversationRecord] = field(default_factory=list)
    messages: list[MessageRecord] = field(default_factory=list)
    edits: list[EditRecord] = field(default_factory=list)
    threads: list[ThreadProgress] = field(default_factory=list)


def joined(website_id: str, batches: Iterable[Batch]) -> Batch:
    """One with everything that is in these, all of one website."""
    whole = Batch(website_id)
    for batch in batches:
        whole.contacts += batch.contacts
        whole.conversations += batch.conversations
        whole.messages += batch.messages
        whole.edits += batch.edits
        whole.threads += batch.threads
    return whole


def singles(batch: Batch) -> list[Batch]:
    """One for each of its records; what it says of threads is in none."""
    return [
        *(Batch(batch.website_id, contacts=[record]) for record in batch.contacts),
        *(Batch(batch.website_id, conversations=[record]) for record in batch.conversations),
        *(Batch(batch.website_id, messages=[record]) for record in batch.messages),
        *(Batch(batch.website_id, edits=[record]) for record in batch.edits),
    ]


def named(single: Batch) -> tuple[RecordKind, str]:
    """The kind of its one record, and Crisp's id of it."""
    for contact in single.contacts:
        return "contact", contact.people_id
    for conversation in single.conversations:
        return "conversation", conversation.session_id
    message = single.messages[0] if single.messages else single.edits[0]
    return "message", f"{message.session_id}/{message.fingerprint}"


@lru_cache(maxsize=4096)
def conversation_id(website_id: str, session_id: str) -> str:
    """Our id of a Crisp conversation. Derived, so that a message finds its parent without a query."""
    return str(uuid.uuid5(_NAMESPACE, f"{website_id}/{session_id}"))
