"""The scopes of a plugin token that reading needs, and whether each was seen working or refused (SPEC H2, T1).

Source: crisp/REFERENCE.md section 1.1. A development token is not checked for scopes at all, so only
a production token's answers prove them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.crisp.tables import scope_outcomes
from app.db.base import AnySelect
from app.db.upsert import insert_for

if TYPE_CHECKING:
    from app.crisp.client import CrispClient


@dataclass(frozen=True, slots=True)
class Scope:
    """`route` is searched in a path; without one no route tells of it, only what hooks and rows lack."""

    name: str
    purpose: str
    route: re.Pattern[str] | None = None


SCOPES = (
    Scope(
        "website:conversation:messages",
        "messages of conversations, and their hooks",
        re.compile(r"/conversation/[^/]+/message"),
    ),
    Scope(
        "website:conversation:sessions",
        "list of conversations, each one, their subject and address",
        re.compile(r"/conversations?/"),
    ),
    Scope("website:conversation:states", "pending, unresolved, resolved"),
    Scope("website:conversation:routing", "to whom a conversation is assigned"),
    Scope("website:conversation:participants", "further participants"),
    Scope(
        "website:people:data",
        "custom data of contacts, if it is imported",
        re.compile(r"/people/data/"),
    ),
    Scope(
        "website:people:statistics",
        "how many people there are, to prove that all were read",
        re.compile(r"/people/stats"),
    ),
    Scope("website:people:profiles", "people, and their hooks", re.compile(r"/people/profile")),
    Scope("website:operators", "names of operators", re.compile(r"/operators/")),
)
_ROUTES = tuple((scope.route, scope.name) for scope in SCOPES if scope.route is not None)


def scope_of(path: str) -> str | None:
    return next((name for route, name in _ROUTES if route.search(path)), None)


@dataclass(slots=True)
class Outcome:
    """What this process saw since it last wrote it down."""

    worked_at: datetime | None = None
    refused_at: datetime | None = None


async def keep_outcomes(connection: AsyncConnection, client: CrispClient) -> None:
    """Write down what the client saw since the last time."""
    seen, client.outcomes = client.outcomes, {}
    for scope, outcome in sorted(seen.items()):
        values = {
            name: moment
            for name in ("worked_at", "refused_at")
            if (moment := getattr(outcome, name)) is not None
        }
        statement = insert_for(connection, scope_outcomes).values(
            credential=client.budget.credential, scope=scope, **values
        )
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["credential", "scope"], set_=values)
        )


def outcomes_query(credential: str) -> AnySelect:
    return select(scope_outcomes).where(scope_outcomes.c.credential == credential)


def note(outcomes: dict[str, Outcome], path: str, *, refused: bool) -> None:
    """Once a scope and flush: a pull asks thousands of times."""
    scope = scope_of(path)
    if scope is None:
        return
    outcome = outcomes.setdefault(scope, Outcome())
    if refused:
        outcome.refused_at = clock.now()
    elif outcome.worked_at is None:
        outcome.worked_at = clock.now()
