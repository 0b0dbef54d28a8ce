"""`/settings/…` of a website: what is imported, the mapping, the connection, Crisp's form, the credential (SPEC C3, C6, H2, T2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import case, func, select

from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.db.together import ask_together
from app.doctor.findings import Finding
from app.doctor.look import examine, read_known
from app.pages import queries_syncs, queries_unmatched
from app.pages.access import admin
from app.pages.frame import Visit, database_of, open_frame, visit
from app.pages.mapping_form import FIELD, read_lines
from app.pages.rows import AnySelect
from app.pages.run_words import view_run
from app.settings import Settings, get_settings
from app.vault.seal import PLUGIN
from app.vault.store import find_sealed
from app.webhooks import hook_figures
from app.webhooks.arrivals import last_arrivals
from app.webhooks.wanted import EVENTS_TO_TICK
from app.websites.business_hours import DEFAULT
from app.websites.credential import FIELDS, VARIABLES, of_environment, read_credential
from app.websites.rules import require_website
from app.websites.setup import addresses, install_link, read_scopes

router = APIRouter(dependencies=[Depends(admin)])


def settings_of(request: Request) -> Settings:
    settings: Settings | None = getattr(request.app.state, "settings", None)
    return settings or get_settings()


@asynccontextmanager
async def visit_anyhow(request: Request) -> AsyncIterator[Visit]:
    """Also while no website is known: these pages are how one begins."""
    async with database_of(request).read() as connection:
        yield Visit(request, connection, await open_frame(connection, request))


@router.get("/settings/website")
async def preferences_page(request: Request) -> Response:
    async with visit(request) as page:
        context = await preferences_context(page)
    return page.show("website_settings.html", **context)


async def preferences_context(page: Visit, **told: Any) -> dict[str, Any]:
    website = await require_website(page.connection, page.website_id)
    people = await page.connection.scalar(
        select(func.count())
        .select_from(contacts)
        .where(contacts.c.website_id == website.id, contacts.c.crisp_people_id.is_not(None))
    )
    since = page.frame.moments.local(website.import_since) if website.import_since else None
    return {
        "row": website,
        "people": int(people or 0),
        "usual_hours": getattr(page.request.app.state, "business_hours", DEFAULT),
        "depth_since": since.date().isoformat() if since else "",
        "saved": "saved" in page.request.query_params,
        "trouble": "",
        **told,
    }


@router.get("/settings/mapping")
async def mapping_page(request: Request) -> Response:
    async with visit(request) as page:
        context = await mapping_context(page)
    return page.show("mapping.html", **context)


async def mapping_context(page: Visit, **told: Any) -> dict[str, Any]:
    website = await require_website(page.connection, page.website_id)
    lines, example = await read_lines(page.connection, website.id, website.mapping)
    saved = page.request.query_params.get("changed", "")
    return {
        "lines": lines,
        "example": example,
        "field": FIELD,
        "changed": int(saved)
        if saved.isascii() and saved.isdecimal() and len(saved) < 10
        else None,
        "trouble": "",
        **told,
    }


@router.get("/settings/connection")
async def connection_page(request: Request) -> Response:
    return await show_connection(request)


async def show_connection(
    request: Request, *, live: bool = False, status: int = 200, trouble: str = ""
) -> Response:
    settings, db = settings_of(request), database_of(request)
    async with visit_anyhow(request) as page:
        website_id = page.frame.website.id if page.frame.website is not None else None
        evidence = await _evidence(page) if website_id is not None else None
    known = await read_known(db, settings)
    findings = await examine(db, settings, website_id, live=live, known=known)
    return page.show(
        "connection.html",
        status,
        faults=[one for one in findings if one.is_fault],
        meant=[one for one in findings if not one.is_fault],
        causes=_by_question(findings),
        live=live,
        quota=known.quota,
        evidence=evidence,
        install=install_link(known.credential.plugin_id),
        trouble=trouble,
    )


_ABOUT = {
    "contacts": {"people_off", "scope_missing", "credential_rejected", "run_failed", "waiting", "paused"},
    "conversations": {"conversations_off", "run_failed", "quota_used_up", "waiting", "paused"},
    "updates": {"hooks_not_arriving", "signature_failing", "no_signing_secret", "worker_not_running", "not_https"},
}  # fmt: skip


def _by_question(findings: list[Finding]) -> dict[str, list[Finding]]:
    return {
        question: [one for one in findings if one.cause in about]
        for question, about in _ABOUT.items()
    }


async def _evidence(page: Visit) -> dict[str, Any]:
    """What T2's three questions are answered with."""
    connection, website_id, moments = page.connection, page.website_id, page.frame.moments
    finished, reasons, (newest,), days, (backlog,), (counted,) = await ask_together(
        connection,
        queries_syncs.last_finished_query(website_id),
        queries_unmatched.by_reason_query(website_id),
        hook_figures.last_query(website_id),
        hook_figures.days_query(website_id),
        hook_figures.backlog_query(website_id),
        counts_query(website_id),
    )
    return {
        "last": view_run(finished[0], moments) if finished else None,
        "live": [view_run(run, moments) for run in page.frame.runs if run.state != "done"][:1],
        "reasons": reasons,
        "last_hook": hook_figures.last_of(newest),
        "hooks": hook_figures.figures_of_days(days),
        "backlog": hook_figures.backlog_of(backlog),
        **counted._asdict(),
    }


def counts_query(website_id: str) -> AnySelect:
    """One row: how many contacts, conversations and messages are stored and not deleted."""
    c = conversations.c
    people = (
        select(func.count())
        .select_from(contacts)
        .where(contacts.c.website_id == website_id, contacts.c.deleted_at.is_(None))
    )
    # Each conversation knows how many it has: counting two million of them takes most of a second.
    return select(
        people.scalar_subquery().label("contacts"),
        func.coalesce(func.sum(case((c.deleted_at.is_(None), 1), else_=0)), 0).label(
            "conversations"
        ),
        func.coalesce(func.sum(c.message_count), 0).label("messages"),
    ).where(c.website_id == website_id)


@router.get("/settings/disconnect")
async def disconnect_page(request: Request) -> Response:
    async with visit(request) as page:
        context = await disconnect_context(page)
    return page.show("disconnect.html", **context)


async def disconnect_context(page: Visit, **told: Any) -> dict[str, Any]:
    counted = (await page.connection.execute(counts_query(page.website_id))).one()
    return {"counts": counted._asdict(), "trouble": "", **told}


@router.get("/settings/setup")
async def setup_page(request: Request) -> Response:
    settings = settings_of(request)
    credential = await read_credential(database_of(request), settings)
    async with visit_anyhow(request) as page:
        scopes = await read_scopes(page.connection, credential.identifier)
        events = await last_arrivals(page.connection, None)
    return page.show(
        "setup.html",
        addresses=addresses(settings.public_url),
        secure=settings.public_url.startswith("https://"),
        scopes=scopes,
        events=[(event, events.get(event)) for event in EVENTS_TO_TICK],
        install=install_link(credential.plugin_id),
    )


@router.get("/settings/credential")
async def credential_page(request: Request) -> Response:
    return await show_credential(request)


async def show_credential(request: Request, status: int = 200, trouble: str = "") -> Response:
    settings = settings_of(request)
    credential = await read_credential(database_of(request), settings)
    async with visit_anyhow(request) as page:
        stored = await find_sealed(page.connection, PLUGIN)
    told = of_environment(settings)
    fields = [
        {
            "name": field,
            "variable": VARIABLES[field] if field in told else "",
            "stored_at": stored[field].stored_at if field in stored else None,
            "unreadable": field in credential.unreadable,
        }
        for field in FIELDS
    ]
    return page.show(
        "credential.html",
        status,
        fields=fields,
        trouble=trouble or ("" if credential.trouble is None else credential.trouble),
        saved="saved" in request.query_params,
    )
