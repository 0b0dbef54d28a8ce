"""Whatever a page shows or does, a program can read or do (SPEC V7): every address, and the API's routes for it.

A page or form that is added is missing here and fails, until it has a route or a reason.
"""

from __future__ import annotations

from typing import Any

from tests.pages.test_every_route import an_app, ways

# Addresses that somebody posts to, and the route of the API that does the same. What a page's
# `{what}` stands for is told word by word.
ROUTES: dict[str, str | dict[str, str]] = {
    "/contacts/new": "POST /contacts",
    "/contacts/{row_id}/edit": "PATCH /contacts/{contact_id}",
    "/contacts/{row_id}/delete": "DELETE /contacts/{contact_id}",
    "/contacts/{row_id}/restore": "POST /contacts/{contact_id}/restore",
    "/contacts/{row_id}/refresh": "POST /contacts/{contact_id}/refresh",
    "/conversations/{row_id}/refresh": "POST /conversations/{conversation_id}/refresh",
    "/conversations/{row_id}/link": {
        "pin": "POST /conversations/{conversation_id}/link",
        "deny": "POST /conversations/{conversation_id}/link",
        "release": "DELETE /conversations/{conversation_id}/link/{contact_id}",
    },
    "/unmatched/remedy": "POST /unmatched/remedies",
    "/unmatched/remedies/{remedy_id}/undo": "POST /unmatched/remedies/{remedy_id}/undo",
    "/imports": "POST /imports",
    "/imports/{import_id}/layout": "POST /imports/{import_id}/layout",
    "/imports/{import_id}/plan": "POST /imports/{import_id}/plan",
    "/imports/{import_id}/commit": "POST /imports/{import_id}/commit",
    "/imports/{import_id}/rows/{line}/undo": "POST /imports/{import_id}/rows/{line}/undo",
    "/imports/{import_id}/{what}": dict.fromkeys(
        ("again", "undo", "cancel", "remap"), "POST /imports/{import_id}/{what}"
    ),
    "/contacts/{contact_id}/erase": "POST /contacts/{contact_id}/erase",
    "/events/replay": "POST /events/replay",
    "/syncs/preview": "POST /syncs/preview",
    "/settings/website": "PATCH /websites/{website_id}/settings",
    "/settings/mapping": "PUT /websites/{website_id}/mapping",
    "/settings/connect": "POST /websites",
    "/settings/connection/check": "POST /websites/{website_id}/findings/live",
    "/settings/connection/{what}": {
        "pause": "POST /websites/{website_id}/{what}",
        "resume": "POST /websites/{website_id}/{what}",
        "first-import": "POST /syncs",
    },
    "/settings/disconnect": "POST /websites/{website_id}/disconnect",
    "/settings/alerts": "POST /alerts/targets",
    "/settings/alerts/{target_id}/{what}": {
        "test": "POST /alerts/targets/{target_id}/test",
        "enable": "POST /alerts/targets/{target_id}/enable",
        "remove": "DELETE /alerts/targets/{target_id}",
    },
    "/companies/new": "POST /companies",
    "/companies/{row_id}/edit": "PATCH /companies/{company_id}",
    "/companies/{row_id}/delete": "DELETE /companies/{company_id}",
    "/companies/{row_id}/restore": "POST /companies/{company_id}/restore",
    "/contacts/{row_id}/merge": "POST /contacts/{contact_id}/merge",
    "/companies/{row_id}/merge": "POST /companies/{company_id}/merge",
    "/merges/{merge_id}/undo": "POST /merges/{merge_id}/undo",
    "/events/{event_id}/replay": "POST /events/{event_id}/replay",
    "/settings/domains": "POST /domains",
    "/settings/domains/release": "DELETE /domains/{domain}",
    "/companies/{company_id}/domains": "POST /domains",
    "/syncs": "POST /syncs",
    "/syncs/{run_id}/{what}": dict.fromkeys(
        ("pause", "resume", "cancel"), "POST /syncs/{sync_id}/{what}"
    ),
}
_PERSON = "of the person at the browser; a token is no person"
_FRAME = "the page that Crisp frames, for who is logged in at Crisp; a token uses "
_ENTRY = (
    "who and what may get in is decided by a person who is logged in, not by a token that leaked"
)
# Only pages do these, each with its reason.
PAGES_ONLY = {
    "/login": _PERSON,
    "/logout": _PERSON,
    "/welcome": _PERSON,
    "/settings/profile": _PERSON,
    "/settings/password": _PERSON,
    "/views": "how one person likes to look at a list; a program keeps its own parameters",
    "/views/{view_id}/remove": "as /views",
    "/webhooks/crisp": "no page: Crisp's own door",
    "/webhooks/crisp/": "no page: Crisp's own door",
    "/plugin/website": _FRAME + "PATCH /websites/{website_id}/settings",
    "/plugin/website/sync": _FRAME + "POST /syncs",
    "/settings/team": _ENTRY,
    "/settings/team/{user_id}/{what}": _ENTRY,
    "/settings/tokens": _ENTRY,
    "/settings/tokens/{token_id}/revoke": _ENTRY,
    "/settings/credential": _ENTRY,
}


# Pages, and where the API tells what they show.
SHOWN: dict[str, str] = {
    "/": "/conversations /insights /insights/conversations /syncs /events/health /insights/at-risk",
    "/contacts": "/contacts", "/contacts.csv": "/exports/{noun}",
    "/contacts/{contact_id}": "/contacts/{contact_id} /conversations /insights",
    "/contacts/{row_id}/edit": "/contacts/{contact_id} /contacts/{contact_id}/overridden /operators",
    "/contacts/{row_id}/merge": "/contacts /merges",
    "/contacts/{contact_id}/everything.json": "/contacts/{contact_id}/everything",
    "/contacts/{contact_id}/erase": "/contacts/{contact_id}/everything",
    "/companies": "/companies", "/companies.csv": "/exports/{noun}",
    "/companies/{company_id}": "/companies/{company_id} /contacts /conversations /insights /domains",
    "/companies/{row_id}/edit": "/companies/{company_id} /operators",
    "/companies/{row_id}/merge": "/companies /merges",
    "/conversations": "/conversations", "/conversations.csv": "/exports/{noun}",
    "/conversations/{conversation_id}": "/conversations/{conversation_id} /contacts/{contact_id} "
    "/conversations/{conversation_id}/messages /conversations/{conversation_id}/decisions",
    "/conversations/{row_id}/move": "/contacts",
    "/events": "/events /events/arrivals /events/health",
    "/events/{event_id}": "/events/{event_id}",
    "/imports": "/imports /import-mappings", "/imports/contacts.csv": "/imports/again.csv",
    "/imports/companies.csv": "/imports/again.csv",
    "/imports/sample.csv": "/imports/sample.csv",
    "/imports/{import_id}": "/imports/{import_id} /imports/{import_id}/head /imports/{import_id}/rows",
    "/imports/{import_id}/bad-rows.csv": "/imports/{import_id}/bad-rows.csv",
    "/imports/{import_id}/events": "/imports/{import_id}",
    "/insights": "/insights", "/insights.csv": "/insights",
    "/insights/at-risk": "/insights/at-risk", "/insights/at-risk.csv": "/insights/at-risk",
    "/insights/conversations": "/insights/conversations",
    "/insights/conversations.csv": "/insights/conversations",
    "/search": "/search",
    "/settings/alerts": "/alerts /alerts/targets",
    "/settings/audit": "/audit-log", "/settings/audit.csv": "/audit-log",
    "/settings/connection": "/websites/{website_id} /websites/{website_id}/findings /syncs "
    "/unmatched/reasons /events/health /events/arrivals",
    "/settings/disconnect": "/websites/{website_id}",
    "/settings/domains": "/domains",
    "/settings/mapping": "/websites/{website_id}/mapping",
    "/settings/setup": "/setup /events/arrivals",
    "/settings/website": "/websites/{website_id}/settings",
    "/syncs": "/syncs",
    "/syncs/{run_id}": "/syncs/{sync_id} /syncs/{sync_id}/failures /syncs/{sync_id}/drift",
    "/syncs/{run_id}/events": "/syncs/{sync_id}",
    "/unmatched": "/unmatched /unmatched/reasons /unmatched/groups",
    "/unmatched/group": "/unmatched",
    "/unmatched/remedies": "/unmatched/remedies",
    "/unmatched/remedies/{remedy_id}": "/unmatched/remedies/{remedy_id}",
    "/unmatched/remedy": "/unmatched/groups",
}  # fmt: skip
_EMPTY = "an empty form"
# Only pages show these, each with its reason.
SHOWN_BY_PAGES_ONLY = {
    "/contacts/new": _EMPTY,
    "/companies/new": _EMPTY,
    "/help": "how to use the pages",
    "/settings": "the way to others",
    "/settings/profile": _PERSON,
    "/settings/team": _ENTRY,
    "/settings/team/{user_id}": _ENTRY,
    "/settings/tokens": _ENTRY,
    "/settings/credential": _ENTRY,
    "/login": _PERSON,
    "/welcome": _PERSON,
    "/plugin/callback": _FRAME + "no such way",
    "/plugin/settings": _FRAME + "GET /websites/{website_id}/settings",
    "/plugin/website": _FRAME + "GET /websites/{website_id}/settings",
    "/healthz": "for programs as it is",
    "/readyz": "for programs as it is",
    "/metrics": "for programs as it is",
}


def document() -> dict[str, Any]:
    app = an_app()
    mounted = next(route for route in app.routes if getattr(route, "path", "") == "/api/v1")
    told: dict[str, Any] = mounted.app.openapi()  # type: ignore[attr-defined]
    return told


def routes_of(told: str | dict[str, str]) -> list[str]:
    return [told] if isinstance(told, str) else list(told.values())


def test_whatever_a_page_does_the_api_does() -> None:
    done = {way.path for way in ways(an_app()) if way.changes}
    told = {**ROUTES, **PAGES_ONLY}
    assert not set(ROUTES) & set(PAGES_ONLY)
    unknown = done - set(told)
    assert not unknown, f"{sorted(unknown)}: name the API's route in ROUTES, or why there is none."
    assert not set(told) - done, "told of a page that is not there"


def test_whatever_a_page_shows_the_api_tells() -> None:
    shown = {way.path for way in ways(an_app()) if not way.changes}
    told = {**SHOWN, **SHOWN_BY_PAGES_ONLY}
    assert not set(SHOWN) & set(SHOWN_BY_PAGES_ONLY)
    unknown = shown - set(told)
    assert not unknown, f"{sorted(unknown)}: name the API's routes in SHOWN, or why there are none."
    assert not set(told) - shown, "told of a page that is not there"
    paths = document()["paths"]
    for path, routes in SHOWN.items():
        for route in routes.split():
            assert "get" in paths.get(route, {}), f"{path}: the API has no GET {route}"


def test_each_of_these_routes_is_in_the_document() -> None:
    paths = document()["paths"]
    there = {f"{method.upper()} {path}" for path, ways in paths.items() for method in ways}
    for path, told in ROUTES.items():
        for route in routes_of(told):
            assert route in there, f"{path}: the document of the API has no {route}"


def test_the_document_shows_what_each_change_is_sent() -> None:
    """Every body has an example, so that generated documents show one."""
    told = document()
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            for media in route.get("requestBody", {}).get("content", {}).values():
                schema = media.get("schema", {})
                refs = [one.get("$ref", "") for one in (schema, *schema.get("anyOf", ()))]
                named = "".join(refs).rpartition("/")[2]
                shape = told["components"]["schemas"].get(named, schema)
                fields = shape.get("properties", {}).values()
                shown = "examples" in shape or "example" in media or "examples" in media
                shown = shown or (fields and all("examples" in field for field in fields))
                assert shown, f"{method.upper()} {path}: no example of its body"
