"""`POST /webhooks/crisp`, through the whole app (CONTRACT, HTTP; SPEC P3, S4)."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections import Counter
from typing import Any

import pytest

from app import clock
from app.main import create_app
from app.settings import Settings
from app.webhooks import receive
from app.webhooks.receive import MOST_BYTES, PATH
from tests.webhooks.taking import (
    SECRET,
    TIMESTAMP,
    WEBSITE,
    Taking,
    headers_for,
    hook_body,
    sign,
    taking_hooks,
)

WRONG_SIGNATURES: dict[str, str | bytes] = {
    "another": "ab" * 32,
    "truncated": sign(hook_body())[:-2],
    "not hex": "zz" * 32,
    "other letters": "é".encode() * 64,
    "latin-1 letters": "é".encode("latin-1") * 64,
    "empty": "",
    "absurdly long": "ab" * 50_000,
}


@pytest.mark.parametrize("times", [1, 2, 50])
async def test_case_001_the_same_bytes_again(database_url: str, times: int) -> None:
    async with taking_hooks(database_url) as taking:
        for _ in range(times):
            assert (await taking.send(hook_body())).status_code == 200
        row = await taking.row()
        assert row.deliveries == times
        assert row.id == hashlib.sha256(hook_body()).hexdigest()
        assert (row.state, row.event, row.website_id) == ("new", "message:send", WEBSITE)
        assert (bytes(row.body), row.attempts) == (hook_body(), 0)
        assert (row.error, row.done_at, row.emitted_ms) == (None, None, 1506985696616)


async def test_case_001_fifty_at_once(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        answers = await asyncio.gather(*(taking.send(hook_body()) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert (await taking.row()).deliveries == 50


async def test_case_002_a_retry_with_other_headers_is_the_same_hook(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        body = hook_body()
        again = headers_for(body, "1506985799999") | {"X-Delivery-Attempt-Count": "3"}
        assert (await taking.send(body, X_Delivery_Attempt_Count="2")).status_code == 200
        assert (await taking.send(body, again)).status_code == 200
        row = await taking.row()
        assert (row.deliveries, row.first_attempt) == (2, 2)


@pytest.mark.parametrize("signature", WRONG_SIGNATURES.values(), ids=WRONG_SIGNATURES)
async def test_case_007_a_wrong_signature(sqlite_url: str, signature: str | bytes) -> None:
    """Case 8 is among them: letters that `compare_digest` refuses as text."""
    async with taking_hooks(sqlite_url) as taking:
        answer = await taking.send(hook_body(), X_Crisp_Signature=signature)
        assert (answer.status_code, answer.content) == (403, receive.FORBIDDEN.body)
        assert await taking.rows() == []


async def test_case_007_refused_leaves_a_number_and_a_time(database_url: str) -> None:  # SPEC P3
    async with taking_hooks(database_url) as taking:
        body = hook_body()
        unsigned = {n: v for n, v in headers_for(body).items() if n != "X-Crisp-Signature"}
        unstamped = {n: v for n, v in headers_for(body).items() if "Timestamp" not in n}
        answers = [
            await taking.send(body, unsigned),
            await taking.send(body, unstamped),
            await taking.send(body, X_Crisp_Request_Timestamp="1" * 10_000),
            await taking.send(body, X_Crisp_Signature="é".encode() * 64),
        ]
        assert {(answer.status_code, answer.content) for answer in answers} == {
            (403, receive.FORBIDDEN.body)
        }
        counted = {"signature_missing": 1, "signature_wrong": 2, "signature_malformed": 1}
        assert await taking.refusals() == counted
        await taking.send(body, unsigned)
        assert await taking.refusals() == counted | {"signature_missing": 2}
        assert await taking.rows() == []


async def test_case_007_the_right_signature_in_upper_case(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        upper = sign(hook_body()).upper()
        assert (await taking.send(hook_body(), X_Crisp_Signature=upper)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        rb'{"event":"x","a":1.0,"u":"\u00e9"}',
        '{"event":"x","content":"é 😀"}'.encode(),
        b'{ "n" : 1e21 ,\r\n "event" : "x" }  ',
    ],
)
async def test_case_009_the_bytes_are_kept_as_signed(database_url: str, body: bytes) -> None:
    async with taking_hooks(database_url) as taking:
        assert (await taking.send(body)).status_code == 200
        row = await taking.row()
        assert (bytes(row.body), row.state) == (body, "new")


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"\xff\xfe", b"\x00"])
async def test_case_010_signed_garbage_is_dead(database_url: str, body: bytes) -> None:
    async with taking_hooks(database_url) as taking:
        assert (await taking.send(body)).status_code == 200
        row = await taking.row()
        assert (row.state, row.event, row.website_id, bytes(row.body)) == ("dead", "", None, body)
        assert row.error.endswith(".")


async def test_case_011_unsigned_garbage_is_not_parsed(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parsed(*_: object) -> Any:
        raise AssertionError("an unsigned body must not be read")

    monkeypatch.setattr("app.webhooks.receive.read_hook", parsed)
    async with taking_hooks(sqlite_url) as taking:
        for body in (b"{", b"[" * 100_000, hook_body()):
            assert (await taking.send(body, X_Crisp_Signature="ab" * 32)).status_code == 403


async def test_case_012_the_limit_is_one_megabyte(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        largest = hook_body() + b" " * (MOST_BYTES - len(hook_body()))
        assert (await taking.send(largest)).status_code == 200
        assert (await taking.send(largest + b" ")).status_code == 413
        assert len((await taking.row()).body) == MOST_BYTES
        assert await taking.refusals() == {"too_large": 1}


async def ask(taking: Taking, messages: list[dict[str, Any]], **headers: str) -> list[Any]:
    """The app as a server calls it: `messages` are what it receives, then nothing more ever comes."""
    sent: list[Any] = []
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "headers": pairs,
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
    }  # fmt: skip

    async def receive_next() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("unreachable: it waits for ever")

    async def send(message: Any) -> None:
        sent.append(message)

    await taking.app(scope, receive_next, send)
    return sent


def part(body: bytes) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": True}


async def test_case_012_a_long_body_is_not_read_to_its_end(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        parts = [part(b"x" * 65_536) for _ in range(800)]
        sent = await ask(taking, parts)
        assert sent[0]["status"] == 413
        assert len(parts) == 800 - 17
        assert (b"connection", b"close") in sent[0]["headers"]
        announced = await ask(taking, [], content_length=str(50 * MOST_BYTES))
        assert announced[0]["status"] == 413


async def test_case_012_a_body_that_never_ends(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "BODY_SECONDS", 0.01)
    async with taking_hooks(sqlite_url) as taking:
        for parts in ([], [part(b'{"eve')]):
            assert (await ask(taking, parts))[0]["status"] == 408
        assert await taking.refusals() == {"too_slow": 2}


async def test_case_012_a_sender_that_hangs_up(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        assert await ask(taking, [part(b"{"), {"type": "http.disconnect"}]) == []
        assert await taking.refusals() == {}


async def test_case_012_packed_bodies_are_refused(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        bomb = gzip.compress(b" " * 20_000_000)
        for encoding in ("gzip", "GZIP", "br", "deflate", "identity, gzip"):
            answer = await taking.send(bomb, Content_Encoding=encoding)
            assert answer.status_code == 415
        assert (await taking.send(hook_body(), Content_Encoding="Identity")).status_code == 200
        assert await taking.refusals() == {"encoded": 5}


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (b"[" * 100_000, "dead"),
        (b'{"event":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "dead"),
        (b'{"event":"x","n":' + b"9" * 5_000 + b"}", "dead"),
        (b'{"event":"x","timestamp":' + b"9" * 400 + b"}", "new"),
        (b'{"event":"x","n":NaN}', "dead"),
        (b'{"event":"x","n":1e400}', "dead"),
        (b'{"event":"y","event":"x"}', "new"),
        (b'\xef\xbb\xbf{"event":"x"}', "dead"),
        ('{"event":"x"}'.encode("utf-16"), "dead"),
    ],
    ids=["deep", "deep inside", "digits", "far time", "NaN", "1e400", "twice", "BOM", "UTF-16"],
)
async def test_case_013_json_bombs(database_url: str, body: bytes, state: str) -> None:
    async with taking_hooks(database_url) as taking:
        assert (await taking.send(body)).status_code == 200
        assert (await taking.row()).state == state
        assert (await taking.send(body, X_Crisp_Signature="ab" * 32)).status_code == 403


@pytest.mark.parametrize(
    ("escaped", "shown"), [(rb"\ud83d", "�"), (rb"\u0000", "␀"), (rb"a\udc00b", "a�b")]
)
async def test_case_014_half_a_pair_and_nul(database_url: str, escaped: bytes, shown: str) -> None:
    async with taking_hooks(database_url) as taking:
        body = b'{"website_id":"w%b","event":"e%b","data":{"content":"%b"}}' % ((escaped,) * 3)
        assert (await taking.send(body)).status_code == 200
        row = await taking.row()
        assert (row.website_id, row.event) == (f"w{shown}", f"e{shown}")
        assert (row.state, bytes(row.body)) == ("new", body)


@pytest.mark.parametrize("age_ms", [6 * 60_000, 3_600_000, 4 * 86_400_000])
async def test_case_015_an_old_hook_is_stored(database_url: str, age_ms: int) -> None:
    """What becomes of it, the applier decides; a retry may carry its first time stamp."""
    async with taking_hooks(database_url) as taking:
        emitted = clock.now_ms() - age_ms
        body = hook_body(timestamp=emitted)
        answer = await taking.send(body, headers_for(body, str(emitted)))
        assert answer.status_code == 200
        row = await taking.row()
        assert (row.state, row.emitted_ms) == ("new", emitted)


@pytest.mark.parametrize("stamp", ["soon", "9" * 60, "-1", "1e99", "0", ""])
async def test_case_016_a_clock_that_is_wrong(database_url: str, stamp: str) -> None:
    async with taking_hooks(database_url) as taking:
        body = hook_body(timestamp=clock.now_ms() + 10 * 365 * 86_400_000)
        assert (await taking.send(body, headers_for(body, stamp))).status_code == 200
        assert (await taking.row()).emitted_ms <= clock.now_ms() + 5 * 60_000


async def test_case_017_an_event_that_nobody_knows(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        assert (await taking.send(hook_body(event="moon:landed"))).status_code == 200
        row = await taking.row()
        assert (row.state, row.event) == ("new", "moon:landed")


async def test_case_018_absurd_values_are_stored(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        for hook in (
            {"website_id": "w" * 10_000, "event": "e" * 10_000},
            {"website_id": ["w"], "event": {"e": 1}, "data": "d", "timestamp": "soon"},
            {"website_id": None, "event": "x", "data": None, "timestamp": None},
        ):
            assert (await taking.send(json.dumps(hook).encode())).status_code == 200
        assert Counter(row.state for row in await taking.rows()) == {"new": 2, "dead": 1}


async def test_case_020_two_websites_in_one_hook(
    database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with taking_hooks(database_url) as taking:
        other = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"
        assert (await taking.send(hook_body(website_id=other))).status_code == 200
        row = await taking.row()
        assert (row.state, row.website_id) == ("dead", other)
        assert "different websites" in row.error
    told = capfd.readouterr()
    assert "hook.dead" in told.out + told.err


async def test_case_022_the_bell_may_fail(database_url: str) -> None:
    """Redis away at intake: the row is committed, the wake-up is only a hint."""
    async with taking_hooks(database_url) as taking:

        def broken() -> None:
            raise ConnectionError("Redis is away")

        taking.app.state.hook_bell = broken
        assert (await taking.send(hook_body())).status_code == 200
        await taking.row()


async def test_the_bell_rings_after_the_commit(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        rung: list[int] = []
        taking.app.state.hook_bell = lambda: rung.append(1)
        await taking.send(hook_body())
        assert rung == [1]
        await taking.send(hook_body(), X_Crisp_Signature="ab" * 32)
        assert rung == [1]


async def test_case_025_two_secrets_while_one_replaces_the_other(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url, " new-secret , old-secret,,") as taking:
        answers = [
            await taking.send(body, headers_for(body, secret=secret))
            for number, secret in enumerate(("new-secret", "old-secret", "old-secret", "older"))
            for body in [hook_body(number)]
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 403]
        assert taking.app.state.hook_receiver.accepted_by_secret == [1, 2]


async def test_without_a_secret_every_hook_is_refused(
    sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with taking_hooks(sqlite_url, secret=None) as taking:
        for secret in ("", SECRET):
            body = hook_body()
            answer = await taking.send(body, headers_for(body, secret=secret))
            assert answer.status_code == 403
        assert await taking.refusals() == {"no_secret": 2}
        assert await taking.rows() == []
    told = capfd.readouterr()
    assert (told.out + told.err).count("no signing secret is set") == 1


@pytest.mark.parametrize("given", [None, "", " ", ",", " , ,"])
def test_an_empty_secret_is_none(given: str | None) -> None:
    assert Settings(crisp_signing_secret=given).signing_secrets == ()


async def test_case_026_hooks_of_a_website_are_unsigned_and_refused(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        website = {"Content-Type": "application/json", "X-Crisp-Hook-Origin": "website/rtm"}
        assert (await taking.send(hook_body(), website)).status_code == 403
        assert await taking.rows() == []


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
async def test_case_027_other_methods(sqlite_url: str, path: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"):
            answer = await taking.web.request(method, path, headers=headers_for(b""))
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert await taking.rows() == []


async def test_case_027_a_slash_at_the_end_does_not_redirect(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        answer = await taking.web.post(
            f"{PATH}/", content=hook_body(), headers=headers_for(hook_body())
        )
        assert answer.status_code == 200
        await taking.row()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/json;odata=verbose;x=1", 200),
        ("", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonx", 415),
    ],
)
async def test_case_027_content_types(sqlite_url: str, kind: str, status: int) -> None:
    async with taking_hooks(sqlite_url) as taking:
        assert (await taking.send(hook_body(), Content_Type=kind)).status_code == status
        without = {n: v for n, v in headers_for(hook_body()).items() if n != "Content-Type"}
        assert (await taking.send(hook_body(), without)).status_code == 200


async def test_crisp_posts_from_outside_and_pages_stay_closed(sqlite_url: str) -> None:
    """The rules of the pages (own Host, own Origin) are for browsers; a hook proves itself."""
    async with taking_hooks(sqlite_url) as taking:
        answer = await taking.send(
            hook_body(), Origin="https://evil.example", Sec_Fetch_Site="cross-site", Cookie="a=b"
        )
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        for path in ("/", "/syncs", "/webhooks", "/webhooks/crisp/../../contacts"):
            assert (await taking.web.get(path)).status_code in {403, 404, 405}
        closed = await taking.web.get("/", headers={"Host": "127.0.0.1"})
        assert (closed.status_code, closed.headers["location"]) == (303, "/login")


async def test_headers_of_absurd_length_do_no_harm(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        long = "7" * 100_000
        answer = await taking.send(
            hook_body(), X_Delivery_Attempt_Count=long, X_Crisp_Hook_Origin=long, X_Other=long
        )
        assert answer.status_code == 200
        assert (await taking.row()).first_attempt == 1


async def test_refusals_are_written_on_shutdown(database_url: str) -> None:
    async with taking_hooks(database_url) as taking:
        await taking.send(hook_body(), X_Crisp_Signature="ab" * 32)
    async with taking_hooks(database_url) as taking:
        assert await taking.refusals() == {"signature_wrong": 1}


def test_the_secret_is_not_shown() -> None:  # SPEC P7
    settings = Settings(crisp_signing_secret="very-secret")
    assert "very-secret" not in repr(settings)
    assert create_app(settings).title == "crispsync"


async def test_a_stamp_that_is_not_the_signed_one(sqlite_url: str) -> None:
    async with taking_hooks(sqlite_url) as taking:
        later = str(int(TIMESTAMP) + 1)
        answer = await taking.send(hook_body(), X_Crisp_Request_Timestamp=later)
        assert answer.status_code == 403
