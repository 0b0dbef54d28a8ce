"""Text from strangers and nonsense in addresses (FAILURES 68, 69, 70; SPEC P5)."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.db.session import Database
from tests.pages import rows
from tests.pages.rows import put, small_world

pytestmark = pytest.mark.asyncio

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "</title><script>alert(1)</script>",
    "</textarea></script><script>alert(1)</script>",
    "\u202egpj.exe\u202c \u0007\u200f",
    '" autofocus onfocus=alert(1) x="',
    "https://evil.example/<u>'\"><script>",
)
OURS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "script",
        "body",
        "svg",
        "symbol",
        "path",
        "circle",
        "use",
        "div",
        "nav",
        "ul",
        "ol",
        "li",
        "a",
        "span",
        "details",
        "summary",
        "p",
        "header",
        "form",
        "label",
        "input",
        "kbd",
        "main",
        "h1",
        "h2",
        "h3",
        "dl",
        "dt",
        "dd",
        "section",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "bdi",
        "time",
        "button",
        "progress",
        "article",
        "aside",
        "figure",
        "figcaption",
        "g",
        "rect",
        "code",
        "pre",
        "b",
        "i",
        "blockquote",
        "noscript",
        "mark",
        "select",
        "option",
        "textarea",
        "hr",
        "line",
        "text",
        "polyline",
        "fieldset",
        "legend",
        "dialog",
        "ins",
        "del",
        "datalist",
    ]
)


class Reader(HTMLParser):
    """Collects what a browser would act upon and these templates never write."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in OURS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            scheme = (value or "").strip().lower().split(":")[0]
            foreign = name in {"href", "src", "action", "formaction"} and scheme in {
                "javascript",
                "data",
                "vbscript",
            }
            if name.startswith("on") or name in {"style", "srcdoc", "autofocus"} or foreign:
                self.found.append(f"{tag} {name}={value}")
        if tag == "script" and not (dict(attrs).get("src") or "").startswith("/static/"):
            self.found.append("script without an address of ours")


def acted_upon(text: str) -> list[str]:
    reader = Reader()
    reader.feed(text)
    return reader.found


PAGES = (
    "/", "/contacts", "/contacts/a", "/companies", "/companies/b", "/conversations",
    "/conversations/c", "/conversations/d", "/unmatched", "/syncs", "/syncs/r", "/syncs/live",
    "/search?q=a",
)  # fmt: skip


def hostile_world(bad: str) -> rows.Rows:
    """The payload in every text field, key and content that a stranger can fill."""
    content: dict[str, Any] = {
        "name": bad, "url": bad, "type": bad, "text": bad, "explain": bad, "value": bad,
        "namespace": bad, "duration": bad,
        "choices": [{"label": bad, "value": bad, "selected": True, "icon": bad,
                     "action": {"type": "link", "target": bad}}],
        "targets": [{"title": bad, "description": bad, "image": bad,
                     "actions": [{"label": bad, "url": bad}]}],
    }  # fmt: skip
    kinds = (
        "text",
        "note",
        "file",
        "audio",
        "animation",
        "picker",
        "field",
        "carousel",
        "event",
        bad,
    )
    words = {"nickname": bad, "email": bad, "subject": bad, "last_message": bad, "assigned_to": bad,
             "origin": bad}  # fmt: skip
    metadata = {
        bad: bad, "topic": bad, "rating_comment": bad, "segments": [bad], "data": {bad: bad},
        "participants": [{"type": "email", "target": bad}], "browser": bad, "os": bad,
        "locales": [bad], "geolocation": {"country": bad, "city": bad, "region": bad},
    }  # fmt: skip
    return [
        rows.website(name=bad, domain=bad, attention=bad, time_zone=bad),
        rows.contact("a", name=bad, email=bad, phone=bad, avatar=bad, segments=[bad],
                     attributes={"job_title": bad, f"data.{bad}": bad, bad: {bad: [bad]}}),
        rows.address("a", bad, source=bad),
        rows.company("b", name=bad, domain=bad, attributes={bad: bad}),
        rows.member("a", "b", source=bad),
        rows.conversation("c", contact_id="a", match_rule="email", match_value=bad,
                          conflicting_contact_id="a", metadata=metadata, rating=3, **words),
        rows.belongs("c", "b"),
        rows.conversation("d", unmatched_reason=bad, metadata=metadata,
                          email_norm=f"x@{bad}", **words),
        *(rows.message("c", n, bad, type=kind, direction="inbound" if n % 2 else "outbound",
                       content=None if kind in {"text", "note"} else content, sender_name=bad,
                       origin=bad)
          for n, kind in enumerate(kinds)),
        rows.run("r", state="failed", error=bad, started_by=bad),
        rows.run("live", state="running", error=bad, started_by=bad, checkpoint={"stage": bad}),
        rows.failure("r", bad, kind=bad, reason=bad),
    ]  # fmt: skip


@pytest.mark.parametrize("bad", PAYLOADS)
async def test_case_068_payloads_stay_text(
    db: Database, client: httpx.AsyncClient, bad: str
) -> None:
    await put(db, hostile_world(bad))
    for path in PAGES:
        answer = await client.get(path)
        assert answer.status_code == 200, path
        assert acted_upon(answer.text) == [], path
        assert "\u202e" not in answer.text
        assert "\u0007" not in answer.text


async def test_case_068_payloads_in_the_address(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, small_world())
    names = (
        "q", "sort", "cursor", "size", "status", "operator", "origin", "reason", "domain", "contact",
        "company", "from", "to", "source", "of", "at", "text", "segment",
    )  # fmt: skip
    for bad in PAYLOADS:
        for path in ("/search", "/conversations", "/contacts", "/companies", "/syncs"):
            answer = await client.get(path, params=dict.fromkeys(names, bad))
            assert answer.status_code == 200
            assert acted_upon(answer.text) == [], path
        answer = await client.get("/", params={"website": bad})
        assert answer.status_code == 404
        assert acted_upon(answer.text) == []


NONSENSE = ("x", "-1", "\x00", "%", "_", "\\", "99999999999999999999", "🦊", "a" * 3000, "null", "[]",
            "WzAsIngiLDFd", "eyJhIjoxfQ", "WzAsbnVsbCwieCJd", "WzEsIjIwMjYtMDEtMDEiLCJ4Il0")  # fmt: skip


async def test_nonsense_in_addresses_is_a_page_with_a_sentence(
    db: Database, client: httpx.AsyncClient
) -> None:
    await put(db, small_world())
    lists = {
        "/conversations": ("q", "sort", "cursor", "size", "status", "operator", "origin", "matched",
                           "reason", "domain", "contact", "company", "waiting", "from", "to"),
        "/contacts": ("q", "sort", "cursor", "size", "source", "company", "deleted", "of"),
        "/companies": ("q", "sort", "cursor", "size", "domain", "open"),
        "/conversations/talk": ("at",),
        "/contacts/ann": ("cursor",),
        "/companies/acme": ("cursor",),
        "/syncs": ("cursor",),
        "/syncs/run": ("cursor",),
        "/search": ("q",),
    }  # fmt: skip
    for path, names in lists.items():
        for value in NONSENSE:
            for params in ({names[-1]: value}, dict.fromkeys(names, value)):
                answer = await client.get(path, params=params)
                assert answer.status_code == 200, (path, value[:20])
                assert "<h1>" in answer.text
        for value in NONSENSE if "cursor" in names else ():
            assert (await client.get(path, params={"cursor": value})).status_code == 200
    for folder in ("contacts", "companies", "conversations", "syncs"):
        for value in NONSENSE:
            answer = await client.get(f"/{folder}/{quote(value, safe='')}")
            assert answer.status_code in {404, 405}
            assert "<h1>" in answer.text


async def test_an_unknown_choice_is_named(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, small_world())
    page = (
        await client.get("/conversations?status=purple&sort=size&size=7&cursor=zz&from=May")
    ).text
    for words in ("no status “purple”", "sorted by “size”", "25, 50, 100", "first page",
                  "2026-01-31"):  # fmt: skip
        assert words in page


async def test_the_letters_of_like_are_letters(db: Database, client: httpx.AsyncClient) -> None:
    names = {"p": "100% wool", "u": "snake_case", "b": "back\\slash", "n": "plain words"}
    firms = [rows.company(key, name=name) for key, name in names.items()]
    people = [rows.contact(key, name=name) for key, name in names.items()]
    await put(db, [rows.website(), *firms, *people])
    for q, name in (("100%", "100% wool"), ("e_c", "snake_case"), ("k\\s", "back\\slash")):
        page = (await client.get("/companies", params={"q": q})).text
        assert "1 company fits" in page
        assert name in page
    for q in ("100%", "snake_c", "case", "BACK\\slash", "WORDS plain"):
        assert "1 contact fits" in (await client.get("/contacts", params={"q": q})).text, q


async def test_case_069_only_web_addresses_become_links(
    db: Database, client: httpx.AsyncClient
) -> None:
    files = [
        {"name": "a.pdf", "url": url, "type": "application/pdf"}
        for url in (
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example/x",
            "file:///etc",
            "",
        )
    ]
    good = {"name": "ok.pdf", "url": "https://files.example/ok.pdf", "type": "application/pdf"}
    await put(
        db,
        [
            rows.website(),
            rows.conversation("c"),
            *(rows.message("c", n, type="file", content=f) for n, f in enumerate([*files, good])),
            rows.message("c", 90, "see https://docs.example/a_(b). Or javascript:alert(1)"),
        ],
    )
    page = (await client.get("/conversations/c")).text
    links = re.findall(r'<a href="(https?:[^"]+)" target="_blank" rel="([^"]+)"', page)
    outside = {url for url, _ in links if "app.crisp.chat" not in url}
    assert outside == {"https://files.example/ok.pdf", "https://docs.example/a_(b)"}
    assert {rel for _, rel in links} == {"noopener noreferrer nofollow"}
    assert "<img" not in page
