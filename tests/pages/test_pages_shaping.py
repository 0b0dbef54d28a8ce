"""The pure parts: texts, times, contents, threads, words for runs and links, facets."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import zone_named
from app.pages import contents, text, wording
from app.pages.charts import opened_chart
from app.pages.contents import shaped
from app.pages.facets import count_facets
from app.pages.facts import session_facts
from app.pages.listing import read_day
from app.pages.run_words import result_words, view_run, window_words
from app.pages.security import is_loopback
from app.pages.thread import thread_of
from app.pages.times import Moments, span
from app.pages.why import why_of
from app.published.searching import escaped

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
MOMENTS = Moments(ZoneInfo("Europe/Paris"), NOON)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = ("text", "url", "name", "type", "duration", "choices", "targets", "value", "namespace")


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://a.example/x?y=1#z", True),
        ("HTTP://A.example", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        (" data:text/html,x", False),
        ("//a.example", False),
        ("https://", False),
        ("https:///x", False),
        ("https://a.example/\u202egpj", False),
        ("java\nscript:alert(1)", False),
        ("https://[", False),
        (None, False),
        (7, False),
    ],
)
def test_case_069_safe_addresses(url: object, good: bool) -> None:
    assert (text.safe_url(url) is not None) is good


def test_links_end_where_the_sentence_does() -> None:
    shown = str(text.linked("(see https://a.example/b_(c)), then https://d.example/e."))
    assert 'href="https://a.example/b_(c)"' in shown
    assert 'href="https://d.example/e"' in shown
    assert shown.endswith("</a>.")


@given(st.text())
def test_linked_text_is_always_escaped(value: str) -> None:
    plain = str(text.linked(value))
    assert "<script" not in plain
    assert plain.count("<a ") == plain.count("</a>")


def test_case_070_what_is_kept_and_what_is_dropped() -> None:
    kept = "👨‍👩‍👧‍👦 שלום \u200f e\u0301"
    assert text.clean(kept) == kept
    assert text.clean("a\x00\x07\u202eb\r\nc\td") == "ab\nc\td"


def test_long_messages_are_folded() -> None:
    assert text.fold("short").excerpt is None
    assert text.fold("x\n" * 40).excerpt is not None
    long = text.fold("word " * 30_000)
    assert (len(long.shown), long.cut) == (text.SHOWN_CHARS, 150_000 - text.SHOWN_CHARS)


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ann Example", "AE"), ("ann@acme.example", "AA"), ("山田 太郎", "山"), ("🦊", ""), ("", ""),
     ("Ann B. Carter", "AC")],
)  # fmt: skip
def test_initials(name: str, letters: str) -> None:
    assert text.initials(name) == letters


@pytest.mark.parametrize(
    ("back", "words"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=40), "40 s ago"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=6), "6 days ago"),
        (timedelta(days=20), "11 Feb"),
        (timedelta(days=400), "27 Jan 2025"),
        (-timedelta(minutes=10), "in 10 min"),
    ],
)
def test_relative_times(back: timedelta, words: str) -> None:
    assert MOMENTS.relative(NOON - back) == words


def test_times_say_the_absolute_too() -> None:
    tag = str(MOMENTS.ago(NOON - timedelta(hours=2)))
    assert 'datetime="2026-03-03T10:00:00+00:00"' in tag
    assert "Tue 3 Mar 2026, 11:00:00 CET" in tag
    assert zone_named("No/Where") is UTC
    assert zone_named("../etc/passwd") is UTC
    assert span(59.9) == "59 s"
    assert MOMENTS.weeks(2) == [
        (date(2026, 2, 23), date(2026, 3, 1)),
        (date(2026, 3, 2), date(2026, 3, 8)),
    ]


def said(fingerprint: int, minute: float, **given: Any) -> Any:
    plain = {"direction": "inbound", "type": "text", "body": "x", "content": None, "sender_name": None,
             "automated": False, "origin": "chat", "edited_at": None, "deleted_at": None, "text_dropped_at": None,
             "sent_at": NOON + timedelta(minutes=minute)}  # fmt: skip
    return SimpleNamespace(fingerprint=fingerprint, **{**plain, **given})


def test_threads_have_days_and_bursts() -> None:
    rows = [
        said(1, 0), said(2, 2), said(3, 30),
        said(4, 31, direction="outbound", sender_name="Mira"),
        said(5, 32, direction="outbound", sender_name="Mira", automated=True),
        said(6, 33, direction="internal", type="note", sender_name="Mira"),
        said(7, 34, direction="internal", type="event", content={"namespace": "state:resolved"}),
        said(8, 60 * 24),
    ]  # fmt: skip
    days = thread_of(rows, MOMENTS, "Ann", "chat")
    assert [day.title for day in days] == ["Tuesday, 3 March", "Wednesday, 4 March"]
    shape = [(b.side, b.sender, len(b.messages)) for b in days[0].bursts]
    assert shape == [
        ("inbound", "Ann", 2), ("inbound", "Ann", 1), ("outbound", "Mira", 1),
        ("outbound", "Mira", 1), ("note", "Mira", 1), ("event", "", 1),
    ]  # fmt: skip
    assert days[0].bursts[5].messages[0].shape.text == "marked as resolved"


def test_case_072_every_kind_has_its_shape() -> None:
    url = "https://files.example/a.pdf"
    pdf = shaped("file", "a.pdf", {"name": "a.pdf", "url": url, "type": "application/pdf"})
    assert (pdf.kind, pdf.label, pdf.detail, pdf.url) == ("file", "a.pdf", "PDF", url)
    voice = shaped("audio", "", {"url": url, "type": "audio/mp3", "duration": 75})
    assert voice.detail == "1:15 min"
    picker = shaped(
        "picker", "", {"text": "?", "choices": [{"label": "A", "selected": True}, {"value": "b"}]}
    )
    assert [(c.label, c.chosen) for c in picker.choices] == [("A", True), ("b", False)]
    assert shaped("field", "", {"text": "?", "value": "x"}).answered
    assert not shaped("field", "", {"text": "?", "value": None}).answered
    assert shaped("carousel", "", {"targets": [{"title": "T"}]}).cards[0].title == "T"
    unknown = shaped("hologram", "", {"a": [1]})
    assert unknown.kind == "kept"
    assert '"a"' in unknown.raw
    assert shaped("note", "private", None).kind == "text"


@given(
    st.sampled_from(["text", "note", *contents._SHAPES, "other"]),
    st.text(max_size=20),
    json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, json_values)),
)
def test_no_content_is_too_odd(kind: str, body: str, content: Any) -> None:
    assert shaped(kind, body, content).kind


@given(json_values)
def test_no_metadata_is_too_odd(metadata: Any) -> None:
    session_facts({"data": metadata, "geolocation": metadata, "participants": metadata, "topic": metadata,
                   "segments": metadata, "locales": metadata})  # fmt: skip
    session_facts(metadata)
    wording.plain_value(metadata)


def linked_row(**given: Any) -> Any:
    plain = {"contact_id": "p", "match_rule": "people_id", "match_value": "b3c1d2e4-7f20-4b1e-9d", "match_verified": True,
             "conflicting_contact_id": None, "unmatched_reason": None, "email": "x@y.example",
             "rival_name": None, "rival_email": None}  # fmt: skip
    return SimpleNamespace(**{**plain, **given})


def test_why() -> None:
    """SPEC M2, M5, M6, M7."""
    by_id = why_of(linked_row())
    assert (by_id.tone, by_id.value) == ("good", "b3c1d2…e-9d")
    typed = why_of(linked_row(match_rule="email", match_value="x@y.example", match_verified=False))
    assert (typed.tone, typed.value) == ("warn", "x@y.example")
    assert "not verified" in typed.cautions[0]
    torn = why_of(linked_row(conflicting_contact_id="q", rival_name="Bo"))
    assert "Bo" in torn.cautions[0]
    for reason in ("denied", "ambiguous_email", "contact_removed", "unknown_person", "unknown_email",
                   "no_identity", "something_new"):  # fmt: skip
        lost = why_of(linked_row(contact_id=None, unmatched_reason=reason))
        assert lost.sentence
        assert lost.remedy


def run_row(**given: Any) -> Any:
    plain: dict[str, Any] = {"id": "r", "kind": "full", "state": "running", "asked": None, "started_by": "x", "window_from": None,
             "window_to": None, "requests": 1, "counts": {}, "checkpoint": {}, "error": None,
             "created_at": NOON, "started_at": NOON - timedelta(minutes=10), "finished_at": None,
             "resume_at": None}  # fmt: skip
    return SimpleNamespace(**{**plain, **given})


def test_a_run_in_words() -> None:
    counts = {"people_done": 100, "people_total": 100, "threads_done": 100, "threads_total": 400}
    run = view_run(run_row(counts=counts, checkpoint={"stage": "messages"}), MOMENTS)
    assert (run.rate, run.left) == ("20 a minute", "about 15 min left")
    assert [(m.name, m.share, m.current) for m in run.measures] == [
        ("People", 100, False), ("Threads", 25, True),
    ]  # fmt: skip
    assert view_run(run_row(asked="pause"), MOMENTS).word == "pausing"
    assert result_words("partial", {"conversations_done": 4912, "failed": 3}) == (
        "4,912 conversations, 3 failed"
    )
    assert result_words("done", {}) == "Nothing was new"
    first, last = MOMENTS.start_of(date(2026, 1, 1)), MOMENTS.start_of(date(2026, 2, 1))
    assert window_words(first, last, MOMENTS) == "1 Jan 2026 to 31 Jan 2026"


@given(json_values, json_values)
def test_no_run_is_too_odd(counts: Any, checkpoint: Any) -> None:
    run = view_run(run_row(counts=counts, checkpoint=checkpoint), MOMENTS)
    assert dataclasses.asdict(run)


def test_an_estimate_that_was_too_small_is_no_total() -> None:
    counts = {"conversations_done": 50, "conversations_total": 40}
    run = view_run(run_row(counts=counts, checkpoint={"stage": "conversations"}), MOMENTS)
    assert [(m.done, m.total) for m in run.measures] == [(50, None)]


def test_facets_count_under_the_other_choices() -> None:
    groups = [(("open", "mail"), 3), (("open", "chat"), 5), (("done", "chat"), 7)]
    facets = count_facets(("state", "way"), groups, {"state": frozenset({"open"})})
    assert facets.total == 8
    assert facets.counts["state"] == {"open": 8, "done": 7}
    assert facets.counts["way"] == {"mail": 3, "chat": 5}
    assert (facets.all("state"), facets.of("way", "mail", "x")) == (15, 3)


def test_charts_lead_to_what_they_count() -> None:
    chart = opened_chart(
        MOMENTS.weeks(2), [0, 100], lambda path, **p: f"{path} {p['from']}<b> {p['to']}"
    )
    assert [slot.url for slot in chart.slots] == [
        "/conversations 2026-02-23<b> 2026-03-01", "/conversations 2026-03-02<b> 2026-03-08",
    ]  # fmt: skip
    assert chart.total == 100
    assert chart.slots[1].label == "2 Mar to 8 Mar"
    assert 'aria-label="2 Mar to 8 Mar: 100"' in chart.svg
    # Nothing that the pages' policy forbids, and nothing of pygal's own.
    assert not {"<script", "<style", " style=", "xlink", "http", " id="} & {
        part
        for part in ("<script", "<style", " style=", "xlink", "http", " id=")
        if part in chart.svg
    }


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1:80", True), ("127.9.9.9", True), ("localhost", True), ("[::1]:1", True),
     ("x.localhost", True), ("127.0.0.1.nip.example", False), ("localhost.example", False),
     ("10.0.0.7", False), ("", False), ("[", False)],
)  # fmt: skip
def test_loopback_names(host: str, here: bool) -> None:
    assert is_loopback(host) is here


def test_small_things() -> None:
    assert escaped("50%_\\") == "50\\%\\_\\\\"
    assert read_day("2026-02-30") is None
    assert wording.origin_word("urn:crisp.im:whatsapp:0") == "whatsapp"
    assert wording.attribute_name("data.Plan_x") == "Plan_x"
    assert wording.attribute_name("job_title") == "Job title"
