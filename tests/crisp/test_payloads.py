"""Reading JSON of any kind: what comes out both databases can keep, or it is Unreadable."""

import contextlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.crisp.payloads import Unreadable, clean, parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
# json.dumps writes half a surrogate pair as an escape, as Crisp does.
WILD_TEXT = st.text(st.characters(), max_size=20)
WILD = st.recursive(
    SCALARS | WILD_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WILD_TEXT, inner, max_size=4),
    max_leaves=20,
)


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [t for pair in value.items() for part in pair for t in texts_of(part)]
    if isinstance(value, list):
        return [t for item in value for t in texts_of(item)]
    return [value] if isinstance(value, str) else []


def assert_can_be_kept(value: Any) -> None:
    for text in texts_of(value):
        assert "\x00" not in text
        text.encode()  # fails for half a surrogate pair


@given(st.binary())
@example(b"")
@example(b"\xff\xfe[\x00]\x00")  # UTF-16
@example(b'\xef\xbb\xbf{"a": 1}')  # with a byte order mark
@example(b"NaN")
@example(b"[1e400]")
@example(b"[" * 100_000)
@example(b"[" * 320 + b"]" * 320)
@example(b'{"a":' * 3000 + b"1" + b"}" * 3000)
@example(b'["\\ud83d"]')
@example(b"[" + b"9" * 5000 + b"]")
@example(b'["\\ud83d", ' + b"9" * 5000 + b"]")
@example(b'["\\ud83d", ' + b"[" * 320 + b"]" * 320 + b"]")
def test_case_013_any_bytes_are_read_or_unreadable(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert_can_be_kept(parse(body))


@given(WILD)
def test_case_057_what_is_read_holds_neither_nul_nor_half_pairs(value: Any) -> None:
    with contextlib.suppress(Unreadable):  # infinities
        assert_can_be_kept(parse(json.dumps(value).encode()))


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_ordinary_text_comes_through_unchanged(text: str) -> None:
    assert parse(json.dumps({text: [text]}).encode()) == {text: [text]}
    assert parse(orjson.dumps({text: [text]})) == {text: [text]}


def test_case_057_nul_is_shown_in_keys_and_values() -> None:
    assert parse(b'{"a\\u0000": ["\\u0000b"]}') == {"a\u2400": ["\u2400b"]}


def test_case_014_half_a_surrogate_pair_is_replaced_and_whole_ones_stay() -> None:
    assert parse(rb'{"cut": "ok \ud83d", "low": "\ude00", "whole": "\ud83d\ude00"}') == {
        "cut": "ok \ufffd",
        "low": "\ufffd",
        "whole": "😀",
    }


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"[1e400]", b"{'a': 1}", b"", b"<html>"])
def test_case_013_what_only_looks_like_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(body)


def test_case_053_a_record_nested_too_deep_leaves_its_page_readable() -> None:
    """It is refused alone, when it is written; what stands beside it is cleaned."""
    value: Any = 1
    for _ in range(400):
        value = [value]
    assert clean([value, "a\0"]) == [value, "a\u2400"]
    with pytest.raises(TypeError):
        orjson.dumps(clean(value))
