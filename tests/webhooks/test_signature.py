"""The signature of a hook, over the bytes as they came (SPEC P3)."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crisp.signature import fitting_secret
from tests.webhooks.taking import SECRET, TIMESTAMP, sign

VECTOR = json.loads((Path(__file__).parents[1] / "payloads/signature_test_vector.json").read_text())
STAMP = TIMESTAMP.encode()
KEY = SECRET.encode()
BODIES = {
    "escaped letter": rb'{"a":1.0,"u":"\u00e9"}',
    "letter": '{"a":1.0,"u":"é😀"}'.encode(),
    "large exponent": b'{"n":1e21,"m":1E+2}',
    "spaces": b'{ "a" : 1 ,\r\n\t"b" : [ ] }  ',
    "other order": b'{"timestamp":1,"event":"x","website_id":"w"}',
    "same key twice": b'{"a":1,"a":2}',
    "no JSON": b"\xff\x00;]",
    "empty": b"",
}
WRONG = {
    "missing": b"",
    "truncated": b"ab" * 31,
    "too long": b"ab" * 33,
    "odd": b"a" * 63,
    "not hex": b"zz" * 32,
    "another": b"ab" * 32,
    "nothing but zeros": b"00" * 32,
    "spaces inside": b"ab " * 21 + b"a",
    "other letters": "é".encode() * 32,
    "latin-1 letters": "é".encode("latin-1") * 64,
}


def test_the_vector_of_crisps_own_library() -> None:
    body, signature = VECTOR["raw_body"].encode(), VECTOR["x_crisp_signature"].encode()
    stamp, secret = VECTOR["x_crisp_request_timestamp"], VECTOR["secret"].encode()
    assert fitting_secret([secret], stamp.encode(), body, signature) == 0
    later = str(int(stamp) + 1).encode()
    assert fitting_secret([secret], later, body, signature) is None


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_case_009_signed_is_what_came_not_what_it_means(body: bytes) -> None:
    signature = sign(body).encode()
    assert fitting_secret([KEY], STAMP, body, signature) == 0
    assert fitting_secret([KEY], STAMP, body + b" ", signature) is None


@pytest.mark.parametrize("signature", WRONG.values(), ids=WRONG)
def test_case_007_what_is_no_right_signature(signature: bytes) -> None:
    assert fitting_secret([KEY], STAMP, b"{}", signature) is None
    assert fitting_secret([], STAMP, b"{}", signature) is None


def test_case_007_upper_case_is_the_same_number() -> None:
    assert fitting_secret([KEY], STAMP, b"{}", sign(b"{}").upper().encode()) == 0


def test_a_timestamp_of_absurd_length_is_none() -> None:
    stamp = "1" * 10_000
    assert fitting_secret([KEY], stamp.encode(), b"{}", sign(b"{}", stamp).encode()) is None
    cut = "1" * 64
    assert fitting_secret([KEY], stamp.encode(), b"{}", sign(b"{}", cut).encode()) is None
    assert fitting_secret([KEY], cut.encode(), b"{}", sign(b"{}", cut).encode()) == 0


def test_case_025_any_of_several_secrets_and_which() -> None:
    secrets = [b"new", b"old", b"old"]
    for secret, index in (("new", 0), ("old", 1), ("older", None)):
        signature = sign(b"{}", secret=secret).encode()
        assert fitting_secret(secrets, STAMP, b"{}", signature) == index


@given(st.binary(max_size=200), st.binary(max_size=80), st.binary(max_size=80))
def test_case_008_nothing_makes_it_fail(body: bytes, stamp: bytes, signature: bytes) -> None:
    assert fitting_secret([KEY], stamp, body, signature) is None
