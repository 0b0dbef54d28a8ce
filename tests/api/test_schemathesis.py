"""Schemathesis asks the whole API whatever its document allows and forbids, as every role (issues 4 and 7).

Deterministic and bounded: the same requests each time, few of each kind. No answer may be a fault of
the server, or of another status, type or shape than the document says; what the document forbids must
be refused.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

from app.api.door import ActorOfToken
from app.db.session import open_database
from app.sync.runs import request_run
from app.websites.connect import Installed, save_connected
from tests.api.conftest import OTHER, by_name, small_app, some_rows
from tests.fixtures.valkey import free_port
from tests.ingesting import WEBSITE, Site

TOKENS = ("viewer", "member", "admin-all")
EXAMPLES = 3
ALWAYS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
NO_TOKENS = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
ANY_TEXT = {"type": "string"}
SETTINGS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)


async def fill(url: str) -> dict[str, Any]:
    """Two websites with rows; real ids of the first for each parameter of a path."""
    db = open_database(url)
    for website_id in (WEBSITE, OTHER):
        await save_connected(db, Installed(website_id, "Acme Chat", None))
        await some_rows(Site(db, website_id), "acme")
    site = Site(db)
    ids = {
        "website_id": WEBSITE,
        "contact_id": (await site.contact("ann-acme")).id,
        "conversation_id": (await site.conversation("t1-acme")).id,
        "fingerprint": 1,
        "sync_id": await request_run(db, WEBSITE, "full", started_by="test"),
        "noun": "messages",
    }
    await db.close()
    return ids


@contextmanager
def served(url: str, actor_of_token: ActorOfToken = by_name) -> Iterator[str]:
    """The API over real HTTP, in a thread with a loop of its own."""
    app = small_app(open_database(url), 1_000_000, actor_of_token)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        address = f"http://127.0.0.1:{port}/api/v1"
        while not server.started:
            assert thread.is_alive()
        yield address
    finally:
        server.should_exit = True
        thread.join()
        asyncio.run(app.state.db.close())


def ask(case: Any, address: str, token: str, session: requests.Session, *more: str) -> int:
    answer = sent(case, address, token, session)
    case.validate_response(answer, checks=CHECKS.get_by_names([*ALWAYS, *more]))
    return int(answer.status_code)


def sent(
    case: Any, address: str, token: str | None, session: requests.Session
) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    answer: requests.Response = case.call(base_url=address, headers=headers, session=session)
    return answer


@pytest.mark.parametrize("token", TOKENS)
def test_the_api_keeps_to_its_document(sqlite_url: str, token: str) -> None:
    ids = asyncio.run(fill(sqlite_url))
    with served(sqlite_url) as address, requests.Session() as session:
        statuses = crawl(address, token, ids, session)
    assert {200, 404, 422} <= statuses


def test_on_postgres_too(migrated_postgres_url: str) -> None:
    ids = asyncio.run(fill(migrated_postgres_url))
    with served(migrated_postgres_url) as address, requests.Session() as session:
        assert {200, 202, 404, 422} <= crawl(address, "admin", ids, session)


def crawl(address: str, token: str, ids: dict[str, Any], session: requests.Session) -> set[int]:
    document = session.get(f"{address}/openapi.json").json()
    # What ends something comes when the others have met it.
    operations = sorted(operations_of(document), key=_ends)
    assert len(operations) >= 25
    statuses: set[int] = set()
    refused = 0
    for operation in operations:
        known = {p.name: ids[p.name] for p in operation.path_parameters if p.name in ids}
        allowed = operation.as_strategy(path_parameters=known or None)
        assert each_of(allowed, lambda case: statuses.add(ask(case, address, token, session)))
        refused += (
            each_of(
                wrong_ones(operation),
                lambda case: statuses.add(
                    ask(case, address, token, session, "negative_data_rejection")
                ),
            )
            > 0
        )
    assert refused >= 20
    return statuses


def _ends(operation: Any) -> bool:
    endings = ("/erase", "/disconnect", "/delete", "/{what}")
    return operation.method.upper() == "DELETE" or str(operation.path).endswith(endings)


def operations_of(document: Any) -> list[Any]:
    """Without tokens of schemathesis: it would leave them out of what is forbidden, and stop at the door."""
    schema = schemathesis.openapi.from_dict(document, config=NO_TOKENS)
    found = list(schema.get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) == len(found)
    return operations


def wrong_ones(operation: Any) -> Any:
    """A strategy of what the document forbids; None where any text will do, or any file."""
    asked = operation.definition.raw
    if asked.get("requestBody", {}).get("content", {"application/json": None}).keys() != {
        "application/json"
    }:
        return None
    told = [one["schema"] for one in asked.get("parameters", ())]
    if "requestBody" not in asked and all(
        one == {**ANY_TEXT, "title": one["title"]} for one in told
    ):
        return None
    return operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def each_of(strategy: Any, work: Callable[[Any], None], limits: settings = SETTINGS) -> int:
    """How many there were."""
    done = 0
    if strategy is None:
        return done

    @limits
    @given(case=strategy)
    def each(case: Any) -> None:
        nonlocal done
        done += 1
        work(case)

    each()
    return done
