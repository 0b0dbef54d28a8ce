"""A database in which every page has something to show, with any text in the places of other people's texts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from app.accounts import tables as accounts
from app.accounts.saved_views import saved_views
from app.accounts.sessions import hash_token
from app.alerts.tables import alert_messages, alert_targets, alerts
from app.companies.tables import domain_ties
from app.contacts.tables import custom_attributes
from app.conversations.tables import link_decisions, operators
from app.db.session import Database
from app.edits.tables import remedies, remedy_rows
from app.imports.tables import import_mappings, import_rows, imports
from app.matching.tables import merges
from app.sync.tables import audit_findings
from app.webhooks.tables import hook_refusals
from app.websites.tables import missed_hooks, websites
from tests.pages import rows
from tests.pages.rows import SITE, Rows, ago, put, row_of

FILE = "upload.csv"
PLAIN = "Acme Ltd, of Winterthur"


async def put_all(db: Database, more: Iterable[tuple[Any, dict[str, Any]]]) -> None:
    """Rows of any table, parents before children as they come."""
    async with db.write() as connection:
        for table, row in more:
            await connection.execute(insert(table), row)


async def put_world(db: Database, uploads: Path, *, of_each: int = 1, word: str = "") -> None:
    """One of everything that a page can show; `of_each` of what stands in lists.

    `word` takes the place of every text that a person or a program elsewhere can write.
    """
    w = word or PLAIN
    await asyncio.to_thread(_write_upload, uploads, w)
    await put(db, crisps(w, of_each))
    if word:
        async with db.write() as connection:
            named = {"name": w, "domain": w, "attention": w}
            await connection.execute(update(websites).values(**named))
    await put_all(db, [*ours(w, of_each), *of_the_team(w, of_each)])


def _write_upload(uploads: Path, w: str) -> None:
    uploads.mkdir(exist_ok=True)
    cell = '"' + w.replace('"', '""') + '"'
    text = f"email,{cell},data.plan\nada@acme.example,{cell},{cell}\n"
    (uploads / FILE).write_text(text, encoding="utf-8")


def numbered(name: str, of_each: int) -> Sequence[str]:
    return [name, *(f"{name}{n}" for n in range(1, of_each))]


def crisps(w: str, of_each: int) -> Rows:
    """What comes from Crisp and from web hooks."""
    found: Rows = [*rows.small_world(), *a_full_thread(), *wide_ones(w)]
    for n in range(1, of_each):
        found += [
            rows.contact(f"c{n}", name=w, email=f"c{n}@acme.example", segments=[w, f"s{n}"],
                         attributes={f"a{n}": w}),
            rows.address(f"c{n}", f"c{n}@acme.example"),
            rows.address("ann", f"ann{n}@acme.example", is_primary=False),
            rows.company(f"k{n}", name=w, domain=f"k{n}.example", attributes={f"a{n}": w}),
            rows.member(f"c{n}", "acme"),
            rows.member("ann", f"k{n}"),
            rows.conversation(f"t{n}", contact_id="ann", subject=w, message_count=1,
                              last_message_at=ago(days=n), rating=n % 5 + 1, assigned_to=w),
            rows.belongs(f"t{n}", "acme"),
            rows.belongs("talk", f"k{n}"),
            rows.message(f"t{n}", 1, w),
            rows.message("talk", 100 + n, w),
            rows.conversation(f"u{n}", unmatched_reason="unknown_email", subject=w, nickname=w,
                              email=f"u{n}@nowhere{n % 9}.example",
                              email_norm=f"u{n}@nowhere{n % 9}.example"),
            rows.conversation(f"v{n}", unmatched_reason="unknown_email", subject=w, nickname=w,
                              email=f"u{n}@nowhere.example", email_norm=f"u{n}@nowhere.example"),
            rows.run(f"run{n}", state="failed", error=w, started_by=w),
            rows.failure("run", f"x{n}", reason=w),
            rows.inbox_event(f"letter{n}", event=f"session:set_{n}", error=w),
            rows.hook_day(f"event:{n}"),
        ]  # fmt: skip
    return found


def a_full_thread() -> rows.Rows:
    """All kinds of messages, several scripts, and lines that have no place to break."""
    long_text = "\n".join(f"{n}. a line of a long letter" for n in range(60))
    picker = {
        "text": "When?",
        "choices": [{"label": "Today"}, {"label": "Later", "selected": True}],
    }
    cards = {
        "text": "Plans",
        "targets": [{"title": "Team", "description": "x" * 90, "actions": []}],
    }
    audio = {"url": "https://files.example/a.mp3", "type": "audio/mp3", "duration": 40}
    return [
        rows.message("talk", 10, "M" * 400),
        rows.message("talk", 11, "مرحبا، لا أستطيع تسجيل الدخول", sender_name="ليلى"),
        rows.message("talk", 12, long_text),
        rows.message("talk", 13, "secret", type="note", direction="internal", sender_name="Mira"),
        rows.message("talk", 14, type="picker", content=picker, direction="outbound"),
        rows.message("talk", 15, type="carousel", content=cards, direction="outbound"),
        rows.message("talk", 16, type="audio", content=audio),
        rows.message("talk", 17, type="hologram", content={"deep": ["y" * 300]}),
        rows.message("talk", 18, "gone", deleted_at=rows.NOW),
        rows.message("talk", 19, type="event", direction="internal",
                     content={"namespace": "state:resolved"}),
    ]  # fmt: skip


def wide_ones(w: str) -> Rows:
    """The texts that are too long for their places, and `w` in every place of a stranger."""
    foreign = w != PLAIN
    long_name, long_line = (w, w) if foreign else ("W" * 120, "U" * 200)
    metadata = {
        "topic": w, "rating_comment": w, "segments": [w], "data": {w: w, "plan": w},
        "participants": [{"type": "email", "target": w}], "browser": w, "locales": [w],
        "geolocation": {"country": w, "city": w, "region": w},
    }  # fmt: skip
    live = {"people_done": 2, "people_total": 2, "threads_done": 10, "threads_total": 40}
    return [
        rows.contact("wide", name=long_name, email=f"{'w' * 90}@{'v' * 60}.example", phone=w,
                     avatar=w, segments=[w], owner_id="x", owner_name=w,
                     attributes={"job_title": w, f"data.{w}": w, w: {w: [w]}}),
        rows.address("wide", f"{'w' * 90}@{'v' * 60}.example", source=w),
        rows.contact("hidden", name=w, hidden_at=rows.NOW),
        rows.company("widest", name=long_name, domain=f"{'u' * 60}.example", attributes={w: w},
                     owner_id="x", owner_name=w),
        rows.member("wide", "widest", source=w),
        rows.conversation("wider", contact_id="wide", subject=long_line,
                          last_message=w, nickname=w, assigned_to=w, origin=w, rating=2,
                          match_rule="email", match_value=w, conflicting_contact_id="ann",
                          metadata=metadata),
        rows.belongs("wider", "widest"),
        rows.message("wider", 1, w, sender_name=w, origin=w),
        rows.message("wider", 2, w, type="file", content={"name": w, "url": w, "type": w}),
        rows.run("live", state="running", counts=live, started_at=ago(minutes=3), started_by=w,
                 checkpoint={"stage": "messages"}),
        rows.run("check", kind="audit", counts={"checked": 9, "drifted": 1, "repaired": 1}),
        rows.inbox_event("letter", event="session:set_state", error=w,
                         body=b'{"event":"session:set_state","data":{"nickname":"somebody"}}'),
        rows.inbox_event("wide", event="e" * 200, error=long_line),
        rows.hook_day("n" * 200),
        rows.hook_day(arrived=1234, dead=1, ignored=2, repeated_first=3),
        row_of(hook_refusals, cause="signature", refused=3, last_at=rows.NOW),
        row_of(missed_hooks, website_id=SITE, day=rows.NOW.date().isoformat(), kind="message",
               missed=2),
    ]  # fmt: skip


def ours(w: str, of_each: int) -> Rows:
    """What people of the team did: imports, mergers, remedies, ties, views."""
    found: Rows = [
        row_of(audit_findings, website_id=SITE, run_id="check", kind="conversation",
               external_id=w, what="changed", missed_by="hook", repaired=True),
        row_of(operators, website_id=SITE, user_id="op", name=w, email=w),
        row_of(link_decisions, website_id=SITE, conversation_id="talk", contact_id="ann",
               decision="pin", decided_by=w),
        row_of(domain_ties, website_id=SITE, domain="nowhere2.example", company_id="acme",
               own_company_id="acme", tied_by=w),
        row_of(domain_ties, website_id=SITE, domain="ignored.example", tied_by=w),
        row_of(import_mappings, website_id=SITE, name=w, columns=[
            {"column": "email", "to": "email"}], options={}, created_by=w),
        *imported(w, of_each),
    ]  # fmt: skip
    for n, name in enumerate(numbered("merge", of_each)):
        found += [
            rows.contact(f"gone{n}", name=w, merged_into="ann"),
            row_of(merges, website_id=SITE, id=name, number=n, kind="contact", loser_id=f"gone{n}",
                   winner_id="ann", fields={"name": [w, w, w]}, merged_by=w),
            rows.company(f"gonefirm{n}", name=w, merged_into="acme"),
            row_of(merges, website_id=SITE, id=f"firm{name}", number=1000 + n, kind="company",
                   loser_id=f"gonefirm{n}", winner_id="acme", fields={}, merged_by=w),
        ]  # fmt: skip
    for n, name in enumerate(numbered("remedy", of_each)):
        found += [
            row_of(remedies, website_id=SITE, id=name, number=n + 1, kind="link",
                   reason="unknown_email", domain="nowhere.example", contact_id="ann", done_by=w,
                   counts={"conversations": 1, "contacts": 1, "domains": 1, "refused": 0},
                   kept=[w]),
            row_of(remedy_rows, website_id=SITE, remedy_id=name, what="decisions", key="lost"),
        ]  # fmt: skip
    for n in range(of_each):
        found += [
            row_of(custom_attributes, website_id=SITE, key=f"plan{n}", type="choice", choices=[w],
                   created_by=w),
            row_of(domain_ties, website_id=SITE, domain=f"tied{n}.example", company_id="acme",
                   own_company_id="acme", tied_by=w),
        ]  # fmt: skip
    return found


def imported(w: str, of_each: int) -> Rows:
    """A file in each state, and rows of each outcome in those that have some."""
    layout = {"encoding": "utf-8", "separator": ",", "header": True}
    columns = [
        {"column": "email", "to": "email"}, {"column": w, "to": "name"},
        {"column": "data.plan", "to": "data.plan", "type": "text"},
    ]  # fmt: skip
    states = {"mapped": "uploaded", "planned": "planned", "done": "done", "failed": "failed",
              "cancelled": "cancelled"}  # fmt: skip
    counts = {"rows": 3, "create": 1, "update": 1, "error": 1}
    found: Rows = []
    for name, state in [*states.items(), *((f"file{n}", "cancelled") for n in range(1, of_each))]:
        found.append(
            row_of(imports, website_id=SITE, id=name, state=state, mode="merge", counts=counts,
                   file_name=w, file=FILE, file_size=1234, layout=layout, columns=columns,
                   created_by=w, options={"segment": w}, error=w if state == "failed" else None,
                   plan_hash="hash" if state == "planned" else None)
        )  # fmt: skip
    changes = {"fields": {"name": [w, w], f"attributes.{w}": [w, w]}, "segments": [[w], [w, "x"]],
               "company": {"joins": True, "name": w, "domain": None, "was": w}}  # fmt: skip
    problem = {"column": w, "code": "email_invalid", "value": w, "reason": w, "suggestion": w}
    firms = [{"column": w, "to": "company_name"}, {"column": w, "to": "other_names"}]
    for name, state in (("firms", "done"), ("firms-mapped", "uploaded")):
        found.append(
            row_of(imports, website_id=SITE, id=name, kind="companies", state=state, mode="merge",
                   counts=counts, file_name=w, file=FILE, file_size=1234, layout=layout,
                   columns=firms, created_by=w)
        )  # fmt: skip
    named = {"fields": {"name": [None, w]}, "aliases": [["name", w]]}
    for line, outcome in enumerate(("create", "update", "unchanged"), start=2):
        found.append(
            row_of(import_rows, website_id=SITE, import_id="firms", line=line, outcome=outcome,
                   state="applied" if outcome != "unchanged" else "planned", company_id="acme",
                   company_key=f"name:{w}", changes=None if outcome == "unchanged" else named)
        )  # fmt: skip
    for name, state in (("planned", "planned"), ("done", "applied")):
        for n in range(of_each):
            for part, outcome in enumerate(("create", "update", "error")):
                found.append(
                    row_of(import_rows, website_id=SITE, import_id=name, line=3 * n + part + 2,
                           outcome=outcome, email_norm=w, changes=changes, problems=[problem],
                           state="planned" if outcome == "error" else state, cells=[w, w, w])
                )  # fmt: skip
    return found


def of_the_team(w: str, of_each: int) -> Rows:
    """People, tokens, views, alerts, and what was done when."""
    found: Rows = []
    for n, name in enumerate(numbered("somebody", of_each)):
        found += [
            row_of(accounts.users, id=name, email=f"{name}@acme.example", name=w, role="member"),
            row_of(accounts.website_grants, website_id=SITE, user_id=name),
            row_of(accounts.api_tokens, id=f"token{n}", name=w, prefix=f"cs_{n}", scope="read",
                   token_hash=f"hash{n}", created_by=w),
            row_of(accounts.token_grants, website_id=SITE, token_id=f"token{n}"),
            row_of(accounts.audit_log, id=f"deed{n}", website_id=SITE, actor_kind="user",
                   actor_id=name, actor_name=w, action="contact.edited", subject_kind="contact",
                   subject_id="ann", before={"name": w}, after={"name": w, w: w}),
            row_of(alert_targets, id=f"target{n}", kind="email", address=w, created_by=w,
                   disabled=w),
            row_of(alerts, id=f"alert{n}", condition=f"run_failed/{n}", cause="run_failed",
                   website_id=SITE, evidence=w, told_at=rows.NOW),
            row_of(alert_messages, id=f"told{n}", alert_id=f"alert{n}", target_id=f"target{n}",
                   payload={"text": w}, state="failed", error=w),
        ]  # fmt: skip
    found.append(
        row_of(accounts.password_links, token_hash=hash_token("an-invitation"),
               user_id="somebody", expires_at=rows.ago(days=-7))
    )  # fmt: skip
    return found


def views_of(owner_id: str, w: str, of_each: int) -> Rows:
    """Saved views of whoever looks."""
    return [
        row_of(saved_views, website_id=SITE, id=f"view-{which}-{n}", owner_id=owner_id, list=which,
               name=f"{w[:50]} {n}", query="q=a")
        for which in ("contacts", "companies", "conversations")
        for n in range(min(of_each, 40))
    ]  # fmt: skip
