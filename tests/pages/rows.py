"""Rows for the pages' tests. What a test does not say gets a plain value of the column's type."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Column, DefaultClause, Integer, Table, insert

from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import (
    conversation_companies,
    conversations,
    link_decisions,
    messages,
)
from app.db.base import Flag, Json, UtcDateTime
from app.db.session import Database
from app.normal import fold_for_search
from app.sync.tables import audit_findings, sync_failures, sync_runs
from app.webhooks.tables import hook_days, hook_refusals, inbox_events
from app.websites.tables import missed_hooks, websites

SITE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
OTHER_SITE = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"
NOW = datetime.now(UTC).replace(microsecond=0)

Row = dict[str, Any]
Rows = list[tuple[Table, Row]]

# Parents before children, as the foreign keys want it.
_ORDER = (
    websites, contacts, contact_emails, companies, company_aliases, contact_companies,
    conversations, conversation_companies, link_decisions, messages, sync_runs, sync_failures,
    audit_findings, inbox_events, hook_days, hook_refusals, missed_hooks,
)  # fmt: skip


def an_id(*parts: object) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(str(part) for part in parts)))


def begin() -> None:
    """A test begins: what is said of minutes ago would be an hour ago at the end of a long suite."""
    global NOW  # noqa: PLW0603 - the one moment of a test
    NOW = datetime.now(UTC).replace(microsecond=0)


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def _plain(column: Column[Any]) -> Any:
    if column.nullable:
        return None
    if isinstance(column.type, Json):
        return [] if column.name == "segments" else {}
    if isinstance(column.type, Flag):
        return False
    if isinstance(column.type, UtcDateTime):
        return NOW
    if isinstance(column.type, Integer):
        return 0
    default = column.server_default
    return str(default.arg) if isinstance(default, DefaultClause) else ""


def row_of(table: Table, **given: Any) -> tuple[Table, Row]:
    unknown = set(given) - set(table.c.keys())
    assert not unknown, f"{table.name} has no {unknown}"
    return table, {column.name: given.get(column.name, _plain(column)) for column in table.c}


def website(key: str = SITE, name: str = "Acme Chat", **given: Any) -> tuple[Table, Row]:
    plain = {"status": "connected", "time_zone": "UTC", "connected_at": ago(days=40)}
    return row_of(websites, **{"id": key, "name": name, **plain, **given})


def contact(key: str, *, site: str = SITE, **given: Any) -> tuple[Table, Row]:
    plain = {"source": "crisp", "name": key, "crisp_people_id": an_id("people", site, key)}
    made = {**plain, **given}
    folded = fold_for_search(made.get("name"), made.get("email"))
    return row_of(contacts, **{"website_id": site, "id": key, "search": folded, **made})


def address(contact_id: str, email: str, *, site: str = SITE, **given: Any) -> tuple[Table, Row]:
    plain = {"is_primary": True, "source": "crisp"}
    return row_of(
        contact_emails,
        **{"website_id": site, "contact_id": contact_id, "email_norm": email, **plain, **given},
    )


def company(key: str, *, site: str = SITE, **given: Any) -> tuple[Table, Row]:
    made = {"name": key, **given}
    folded = fold_for_search(made.get("name"), made.get("domain"))
    return row_of(companies, **{"website_id": site, "id": key, "search": folded, **made})


def member(
    contact_id: str, company_id: str, *, site: str = SITE, **given: Any
) -> tuple[Table, Row]:
    plain = {"id": an_id("member", site, contact_id, company_id), "source": "crisp", "since": NOW}
    ids = {"website_id": site, "contact_id": contact_id, "company_id": company_id}
    return row_of(contact_companies, **{**ids, **plain, **given})


def conversation(key: str, *, site: str = SITE, **given: Any) -> tuple[Table, Row]:
    made = {
        "session_id": f"session_{an_id(site, key)}",
        "status": "unresolved",
        "origin": "chat",
        "crisp_created_at": ago(days=1),
        "crisp_updated_at": ago(hours=1),
        "messages_complete": True,
        "observed_ms": int(NOW.timestamp() * 1000),
        **given,
    }
    if made.get("contact_id"):
        made = {"match_rule": "people_id", "matched_at": NOW, **made}
    else:
        made = {"unmatched_reason": "no_identity", **made}
    folded = fold_for_search(made.get("subject"), made.get("nickname"), made.get("email"))
    return row_of(conversations, **{"website_id": site, "id": key, "search": folded, **made})


def belongs(conversation_id: str, company_id: str, *, site: str = SITE) -> tuple[Table, Row]:
    return row_of(
        conversation_companies,
        website_id=site, conversation_id=conversation_id, company_id=company_id,
    )  # fmt: skip


def message(
    conversation_id: str, fingerprint: int, body: str = "Hello", *, site: str = SITE, **given: Any
) -> tuple[Table, Row]:
    sent_at = ago(minutes=60 - fingerprint % 50)
    plain = {"direction": "inbound", "type": "text", "sent_at": sent_at, "complete": True}
    ids = {"website_id": site, "conversation_id": conversation_id, "fingerprint": fingerprint}
    return row_of(messages, **{**ids, "body": body, **plain, **given})


def run(key: str, *, site: str = SITE, **given: Any) -> tuple[Table, Row]:
    plain = {"kind": "full", "state": "done", "started_by": "a test", "created_at": ago(hours=2)}
    made = {"website_id": site, "id": key, **plain, **given}
    if made["state"] not in {"queued", "running", "paused"}:
        made = {"started_at": ago(hours=2), "finished_at": ago(hours=1), **made}
    return row_of(sync_runs, **made)


def failure(run_id: str, external_id: str, *, site: str = SITE, **given: Any) -> tuple[Table, Row]:
    plain = {"kind": "message", "reason": "its fingerprint is no 64-bit number"}
    ids = {"website_id": site, "run_id": run_id, "external_id": external_id}
    return row_of(sync_failures, **{**ids, **plain, **given})


def inbox_event(key: object, *, site: str | None = SITE, **given: Any) -> tuple[Table, Row]:
    """A dead letter, unless something else is said."""
    plain = {
        "id": sha256(str(key).encode()).hexdigest(), "event": "message:send", "state": "dead",
        "attempts": 5, "deliveries": 1, "first_attempt": 1, "received_at": ago(hours=1),
        "error": "its fingerprint is no 64-bit number", "body": b'{"event":"message:send"}',
    }  # fmt: skip
    return row_of(inbox_events, **{"website_id": site, **plain, **given})


def hook_day(event: str = "message:send", *, site: str = SITE, **given: Any) -> tuple[Table, Row]:
    plain = {"day": NOW.date().isoformat(), "arrived": 40, "delays": {"20": 30, "30": 8}}
    return row_of(hook_days, **{"website_id": site, "event": event, **plain, **given})


async def put(db: Database, rows: Iterable[tuple[Table, Row]]) -> None:
    by_table: dict[str, list[Row]] = {}
    for table, row in rows:
        by_table.setdefault(table.name, []).append(row)
    assert by_table.keys() <= {table.name for table in _ORDER}
    async with db.write() as connection:
        for table in _ORDER:
            if table.name in by_table:
                await connection.execute(insert(table), by_table[table.name])


def small_world(site: str = SITE, prefix: str = "") -> Rows:
    """One of everything, each id with the prefix: what most tests need to see a page."""
    p = prefix
    return [
        website(site, f"{p}Acme Chat", connected_at=ago(days=40 if site == SITE else 3)),
        contact(f"{p}ann", site=site, name="Ann Example", email="ann@acme.example"),
        address(f"{p}ann", "ann@acme.example", site=site),
        contact(f"{p}bob", site=site, name=None, email="bob@else.example", crisp_people_id=None),
        company(f"{p}acme", site=site, name="Acme Ltd", domain="acme.example"),
        member(f"{p}ann", f"{p}acme", site=site),
        conversation(
            f"{p}talk", site=site, contact_id=f"{p}ann", subject="Refund for order 4471",
            message_count=2, email="ann@acme.example", metadata={"data": {"plan": "pro"}},
        ),
        belongs(f"{p}talk", f"{p}acme", site=site),
        message(f"{p}talk", 1, "The order was charged twice", site=site),
        message(
            f"{p}talk", 2, "Looking into it", site=site, direction="outbound", sender_name="Mira"
        ),
        conversation(
            f"{p}lost", site=site, unmatched_reason="unknown_email", email="x@nowhere.example",
            email_norm="x@nowhere.example", nickname="Lost visitor", subject="Hello?",
            message_count=1,
        ),
        message(f"{p}lost", 1, "Anybody there?", site=site),
        run(f"{p}run", site=site, counts={"people_done": 2, "conversations_done": 2, "failed": 1}),
        failure(f"{p}run", "session_x/1", site=site),
    ]  # fmt: skip
