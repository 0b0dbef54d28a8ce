"""The API as an app of its own inside the web app: its errors, its door, its document."""

from __future__ import annotations

import re
from typing import Any

from fastapi import Depends, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.routing import Mount

from app.api import (
    alerts,
    arrivals,
    audit_log,
    changes,
    companies,
    company_changes,
    connections,
    contact_changes,
    contacts,
    conversations,
    domains,
    drift,
    erasing,
    events,
    exports,
    import_files,
    import_steps,
    imports,
    insights,
    links,
    merges,
    messages,
    operators,
    remedies,
    search,
    setup,
    syncs,
    unmatched,
    website_settings,
    websites,
)
from app.api.caller import viewer
from app.api.door import ActorOfToken, Door
from app.api.examples import add_examples
from app.api.problems import Problem, handle_errors
from app.api.rates import Rates

PREFIX = "/api/v1"
_ABOUT = """People, conversations and messages of Crisp websites, per contact and per company.

Every request carries a token: `Authorization: Bearer TOKEN`. Lists answer `data` and `next_cursor`; ask
again with `cursor` until it is null. Errors are problem details (RFC 9457). GET answers have an `ETag`;
send it as `If-None-Match` and get 304 while nothing changed. A POST with an `Idempotency-Key` is done
once, however often it is sent within a day. `RateLimit` tells how many requests are left.
"""
_TAGS = (
    ("websites", "The Crisp websites that this token may see."),
    ("setup", "What to enter in Crisp's form."),
    ("contacts", "People, from Crisp, from CSV files or entered by hand."),
    ("companies", "Companies, by domain or name."),
    ("operators", "Who answers in Crisp."),
    ("conversations", "Conversations, and whose they are."),
    ("messages", "What was said. Private notes only where `include=notes` asks for them."),
    ("search", "Contacts, companies, conversations and messages by words."),
    ("unmatched", "Conversations without a contact, and why."),
    ("domains", "E-mail domains, and the companies that people tied them to."),
    ("merges", "Contacts and companies that are the same."),
    ("changes", "What changed since a cursor: for programs that keep a copy."),
    ("syncs", "Runs that read Crisp."),
    ("imports", "CSV files of contacts and companies."),
    ("events", "Web hooks received from Crisp."),
    ("exports", "Whole lists as files."),
    ("alerts", "Who is told when something is wrong, and what is."),
    ("audit log", "Who did what, and when."),
    ("insights", "Figures by contact, company, operator or week."),
)
_PARTS = (
    websites,
    website_settings,
    connections,
    setup,
    erasing,
    contact_changes,
    contacts,
    company_changes,
    companies,
    operators,
    conversations,
    links,
    messages,
    search,
    unmatched,
    remedies,
    domains,
    merges,
    changes,
    drift,
    syncs,
    import_files,
    import_steps,
    imports,
    arrivals,
    events,
    exports,
    insights,
    alerts,
    audit_log,
)


def mount_api(whole: FastAPI, actor_of_token: ActorOfToken, per_minute: int) -> FastAPI:
    """`whole.state` must hold db, ring and hook_bell when the first request comes."""
    api = FastAPI(
        title="crispsync",
        version="1",
        description=_ABOUT,
        openapi_tags=[{"name": name, "description": text} for name, text in _TAGS],
        docs_url=None,
        redoc_url=None,
        dependencies=[
            Security(HTTPBearer(auto_error=False, description="A token of crispsync.")),
            Depends(viewer),
        ],
        servers=[{"url": PREFIX}],
        root_path_in_servers=False,
        redirect_slashes=False,
    )
    api.state.whole = whole
    for part in _PARTS:
        api.include_router(part.router)
    handle_errors(api)
    api.add_middleware(
        Door,
        database=lambda: whole.state.db,
        actor_of_token=actor_of_token,
        rates=Rates(per_minute),
        most_mb=lambda: whole.state.uploads.most_mb,
    )
    made = api.openapi
    api.openapi = lambda: _completed(made())  # type: ignore[method-assign]  # FastAPI's own way
    mount = Mount(PREFIX, api)
    # A line end in an address would otherwise be somebody else's 404, which is no problem details.
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    whole.router.routes.append(mount)
    return api


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """With the shape of errors, which no route returns by itself, in place of FastAPI's own, and with an
    example of each answer.
    """
    shapes = document["components"]["schemas"]
    if "Problem" not in shapes:
        described = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        shapes |= described.pop("$defs", {})
        shapes["Problem"] = described
        shapes.pop("HTTPValidationError", None)
        shapes.pop("ValidationError", None)
        add_examples(document)
    return document
