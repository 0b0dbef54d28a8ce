"""A website of the size of SPEC's promises: 50,000 contacts, 200,000 conversations, 2,000,000 messages.

Made by COPY on PostgreSQL and executemany on SQLite, in a minute or two; the SQLite file is kept in the
temporary folder until the schema changes. BENCH_PART=10 makes a tenth of it.
"""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Table

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversation_companies, conversations, messages
from app.db.changes import change_counters
from app.db.migrate import HEAD, upgrade
from app.db.words import SEARCHED, postgres_vector
from app.normal import fold_for_search
from app.sync.tables import sync_runs
from app.websites.tables import websites
from tests.pages import rows as plain

PART = int(os.environ.get("BENCH_PART", "1"))
"""1 for the sizes of the promise, 10 for a tenth of them."""
CONTACTS, COMPANIES, CONVERSATIONS = 50_000 // PART, 3_000 // PART, 200_000 // PART
MESSAGES_EACH = 10
RAW = '{"padding": "%s"}' % ("x" * 300)
NOW = plain.NOW
OPERATORS = ("Mira", "Noam", "Kenji", "Joana", None)
VOCABULARY = 20_000
SENTENCES = 60_000

Values = tuple[Any, ...]


def many_rows() -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
    """Parents first; the same rows every time."""
    yield websites, iter([plain.website(first_imported_at=NOW, activated_at=NOW)[1]])
    yield contacts, (_contact(n) for n in range(CONTACTS))
    yield contact_emails, (plain.address(f"p{n}", _email(n))[1] for n in range(CONTACTS))
    yield companies, (_company(n) for n in range(COMPANIES))
    yield contact_companies, (_member(n) for n in range(CONTACTS) if n % 5)
    yield conversations, (_conversation(n) for n in range(CONVERSATIONS))
    owned = (n for n in range(CONVERSATIONS) if n % 10 and _whose(n) % 5)
    yield conversation_companies, (_belongs(n) for n in owned)
    yield messages, _messages()
    # Facts of the threads are then made as after an upgrade.
    yield change_counters, iter([{"website_id": plain.SITE, "last": 1, "dropped": 1}])
    yield sync_runs, iter([plain.run("run", counts={"people_done": CONTACTS})[1]])


def _email(n: int) -> str:
    return f"person{n}@firm{n % COMPANIES}.example"


def _contact(n: int) -> dict[str, Any]:
    name = f"{_WORDS[n % 997].title()} {_WORDS[n % 7919].title()}"
    return plain.contact(
        f"p{n}", name=name, email=_email(n), segments=["vip"] if n % 50 == 0 else [],
        last_active_at=NOW - timedelta(minutes=n), signed_up_at=NOW - timedelta(hours=n),
        attributes={"job_title": "Buyer"}, crisp_raw=RAW,
    )[1]  # fmt: skip


def _company(n: int) -> dict[str, Any]:
    return plain.company(f"f{n}", name=f"{_WORDS[n].title()} Ltd", domain=f"firm{n}.example")[1]


def _member(n: int) -> dict[str, Any]:
    return plain.member(f"p{n}", f"f{n % COMPANIES}", since=NOW - timedelta(days=900))[1]


def _whose(n: int) -> int:
    # Some contacts have many conversations, most have few.
    return int(CONTACTS * ((n * 7919 % CONVERSATIONS) / CONVERSATIONS) ** 2)


def _conversation(n: int) -> dict[str, Any]:
    matched, segments = n % 10 != 0, ["beta"] if n % 40 == 0 else []
    updated = NOW - timedelta(minutes=5 * n)
    subject = f"{_WORDS[n % 4999]} {_WORDS[n % 211]} {n}" if n % 3 else None
    status = ("unresolved", "pending")[n % 2] if n < 6_000 // PART and n % 3 == 0 else "resolved"
    return plain.conversation(
        f"c{n}", contact_id=f"p{_whose(n)}" if matched else None, status=status, subject=subject,
        unmatched_reason=None if matched else "unknown_email", nickname=_WORDS[n % 997],
        email=_email(n % CONTACTS), email_norm=_email(n % CONTACTS), last_message=_said(n * 10),
        assigned_to=OPERATORS[n % 5], rating=n % 5 + 1 if n % 20 == 0 else None,
        metadata={"segments": segments, "data": {"plan": "pro"}},
        search=fold_for_search(*segments, subject, _WORDS[n % 997], _email(n % CONTACTS)),
        origin=("chat", "email", "urn:crisp.im:whatsapp:0")[n % 3], raw=RAW,
        message_count=MESSAGES_EACH, crisp_updated_at=updated, last_message_at=updated,
        crisp_created_at=updated - timedelta(hours=3),
    )[1]  # fmt: skip


def _belongs(n: int) -> dict[str, Any]:
    return plain.belongs(f"c{n}", f"f{_whose(n) % COMPANIES}")[1]


def _messages() -> Iterator[dict[str, Any]]:
    example = plain.message("c", 1, complete=True, raw=RAW)[1]
    for n in range(CONVERSATIONS):
        begun = NOW - timedelta(minutes=5 * n, hours=3)
        answered = n % 4 != 0
        for k in range(MESSAGES_EACH):
            outbound = k % 2 == 1 and (answered or k < MESSAGES_EACH - 1)
            yield example | {
                "conversation_id": f"c{n}",
                "fingerprint": n * MESSAGES_EACH + k,
                "body": _said(n * MESSAGES_EACH + k),
                "direction": "outbound" if outbound else "inbound",
                "sender_name": "Mira" if outbound else None,
                "sent_at": begun + timedelta(minutes=18 * k),
            }


def _said(n: int) -> str:
    return f"{_SENTENCES[n * 31 % SENTENCES]} ref{n}"


def _vocabulary() -> list[str]:
    dice = random.Random(5)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < VOCABULARY:
        found["".join(dice.choices(syllables, k=dice.randint(2, 4)))] = None
    return list(found)


_WORDS = _vocabulary()


def _sentences() -> list[str]:
    """Words as unevenly as in a language: the hundredth most frequent a hundredth as often as the first."""
    dice = random.Random(6)
    weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    return [
        " ".join(dice.choices(_WORDS, cum_weights=weights, k=dice.randint(3, 20)))
        for _ in range(SENTENCES)
    ]


_SENTENCES = _sentences()
COMMON, RARE = _WORDS[0], _WORDS[15_000]


def _sqlite_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "milliseconds")[:23]
    if isinstance(value, dict | list):
        return _json(value)
    return int(value) if isinstance(value, bool) else value


def _json(value: Any) -> str:
    from app.db.base import dump_json

    return dump_json(value)


def sqlite_file() -> Path:
    """The database, made when it is not there."""
    path = Path(tempfile.gettempdir()) / f"crispsync-bench-pages-{HEAD}-{PART}.db"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        upgrade(f"sqlite:///{partial}")
        _fill_sqlite(partial)
        partial.rename(path)
    return path


def _fill_sqlite(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-200000")
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%words%'"
    ).fetchall()
    connection.execute("BEGIN")
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for table, found in many_rows():
        names = [column.name for column in table.columns]
        marks = ", ".join("?" * len(names))
        tuples = (tuple(_sqlite_value(row[name]) for name in names) for row in found)
        connection.executemany(
            f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", tuples
        )
    for name in SEARCHED:
        connection.execute(
            f"INSERT INTO {name}_words (rowid, body) SELECT rowid, body FROM {name}_texts"
        )
    for _, statement in triggers:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fill_postgres(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '256MB'")
        for name in SEARCHED:
            connection.execute(f"DROP INDEX ix_{name}_words")
        for table, found in many_rows():
            names = [column.name for column in table.columns]
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy,
            ):
                for row in found:
                    copy.write_row([_postgres_value(row[name]) for name in names])
        for name in SEARCHED:
            connection.execute(
                f"CREATE INDEX ix_{name}_words ON {name} USING gin ({postgres_vector(name)})"
            )
        connection.execute("VACUUM ANALYZE")


def _postgres_value(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | list) else value
