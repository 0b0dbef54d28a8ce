"""Sends signed hooks over 32 connections as fast as they are answered: `send_hooks.py PORT COUNT SECRET`.

Prints one JSON line: seconds for all, and p50 and p99 of an answer in ms. Fails unless every answer
is 200. All is made before the clock starts, so that little but the server is measured.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time
import uuid
from typing import cast

import uvloop

CONNECTIONS = 32
BODY_BYTES = 1_500
WARM_UP = 500
WEBSITE = "42286ab3-b29a-4fde-8538-da0ae501d825"
STAMP = "1506985696700"


class Sender(asyncio.Protocol):
    """One connection: the next request goes out when the last was answered."""

    def __init__(self, requests: list[bytes], seconds: list[float]) -> None:
        self.requests = requests
        self.seconds = seconds
        self.done = asyncio.get_running_loop().create_future()
        self._answer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own kind of one
        self._next()

    def _next(self) -> None:
        if not self.requests:
            self.transport.close()
            self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self.transport.write(self.requests.pop())

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, rest = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        if len(rest) < int(length):
            return
        self.seconds.append(time.perf_counter() - self._began)
        self._answer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(head.decode()))
            return
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))


def made(secret: str) -> bytes:
    data = {"website_id": WEBSITE, "session_id": f"session_{uuid.uuid4()}", "content": ""}
    hook = {"website_id": WEBSITE, "event": "message:send", "data": data, "timestamp": int(STAMP)}
    data["content"] = "x" * (BODY_BYTES - len(json.dumps(hook)))
    body = json.dumps(hook).encode()
    signed = b"[" + STAMP.encode() + b";" + body + b"]"
    head = (
        "POST /webhooks/crisp HTTP/1.1\r\nHost: crispsync\r\nContent-Type: application/json\r\n"
        "X-Crisp-Hook-Origin: plugin/rtm 38b411d9377a6a00 production\r\n"
        f"X-Crisp-Request-Timestamp: {STAMP}\r\n"
        f"X-Crisp-Signature: {hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}\r\n"
        "X-Delivery-Attempt-Limit: 3\r\nX-Delivery-Attempt-Count: 1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(port: int, requests: list[bytes]) -> tuple[float, list[float]]:
    """Seconds for all of them, and of each."""
    loop = asyncio.get_running_loop()
    each: list[float] = []
    began = time.perf_counter()
    connected = await asyncio.gather(
        *(
            loop.create_connection(lambda: Sender(requests, each), "127.0.0.1", port)
            for _ in range(CONNECTIONS)
        )
    )
    await asyncio.gather(*(sender.done for _, sender in connected))
    return time.perf_counter() - began, each


async def main() -> None:
    port, count, secret = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    await send(port, [made(secret) for _ in range(WARM_UP)])
    seconds, each = await send(port, [made(secret) for _ in range(count)])
    each.sort()
    p50, p99 = (1000 * each[int(len(each) * share)] for share in (0.5, 0.99))
    sys.stdout.write(json.dumps({"seconds": seconds, "p50": p50, "p99": p99}) + "\n")


if __name__ == "__main__":
    uvloop.run(main())
