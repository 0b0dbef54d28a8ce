"""Control routes under /sandbox, for tests and demos in another process; loopback only.

GET  /sandbox/state | counters | log | changes | company-history | faults
GET  /sandbox/hooks | hooks/acknowledged               (sent hooks; JSON lines of sha256)
GET  /sandbox/truth/people | conversations | messages      (JSON lines; ?website=, ?session=)
POST /sandbox/faults {"name", …} | faults/clear {"name"?} | clock {"advance_ms"|"set_ms"|"freeze"}
POST /sandbox/change {"count"} or {"kind", "website"?, …}  | counters/reset | log {"length"}
POST /sandbox/settings {"delay_ms"?, "changes_per_request"?, "changes_left"?, "quota"?, "mix"?}
POST /sandbox/hooks {"to": url | null, "lost"?, …} | hooks/flush {"timeout_s"?} | hooks/reset
POST /sandbox/quota/reset | uninstall | reinstall | websites {"people"?, "conversations"?, …}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import orjson

from app.sandbox.control_actions import ACTIONS
from app.sandbox.control_views import LINES, VIEWS
from app.sandbox.envelope import dumps
from app.sandbox.query import parse
from app.sandbox.world import World

Json = dict[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LOOPBACK = ("127.0.0.1", "::1")
# Lines sent at once: enough to be quick, few enough to stay small in memory.
_LINES_AT_ONCE = 500


async def control(world: World, scope: Scope, receive: Receive, send: Send) -> None:
    client = scope.get("client")
    path = scope["path"].removeprefix("/sandbox/")
    if path == scope["path"]:
        await _json(send, {"error": "not found"}, 404)
    elif client is None or client[0] not in _LOOPBACK:
        await _json(send, {"error": "loopback only"}, 403)
    elif scope["method"] == "GET":
        await _show(world, path, parse(scope["query_string"]), send)
    elif scope["method"] == "POST":
        await _act(world, path, receive, send)
    else:
        await _json(send, {"error": "GET or POST"}, 405)


async def _show(world: World, path: str, params: dict[str, str], send: Send) -> None:
    lines = LINES.get(path)
    try:
        if lines is not None:
            await _json_lines(send, lines(world, params))
        elif path in VIEWS:
            await _json(send, VIEWS[path](world, params))
        else:
            await _json(send, {"error": "not found"}, 404)
    except LookupError as error:
        await _json(send, {"error": f"not found: {error}"}, 404)


async def _act(world: World, path: str, receive: Receive, send: Send) -> None:
    action = ACTIONS.get(path)
    if action is None:
        await _json(send, {"error": "not found"}, 404)
        return
    try:
        raw = await _body(receive)
        wanted = orjson.loads(raw) if raw else {}
        done = action(world, wanted)
        result = await done if isinstance(done, Awaitable) else done
    except LookupError as error:
        await _json(send, {"error": f"not found: {error}"}, 404)
    except (ValueError, TypeError) as error:
        await _json(send, {"error": str(error)}, 400)
    else:
        await _json(send, result)


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _json(send: Send, value: Any, status: int = 200) -> None:
    await _start(send, status, b"application/json")
    await send({"type": "http.response.body", "body": dumps(value)})


async def _json_lines(send: Send, rows: Iterator[Json]) -> None:
    first = next(rows, None)
    await _start(send, 200, b"application/x-ndjson")
    batch = [] if first is None else [dumps(first)]
    for row in rows:
        batch.append(dumps(row))
        if len(batch) >= _LINES_AT_ONCE:
            body = b"\n".join(batch) + b"\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
            batch = []
    body = b"\n".join(batch) + b"\n" if batch else b""
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, content_type: bytes) -> None:
    headers = [(b"content-type", content_type)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
