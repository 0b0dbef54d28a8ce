"""From a hook's arrival to the page that shows it, unloaded: one hook every 100 ms, 100 of them.

Each is posted over HTTP to a real `serve` and looked for on its conversation's page, which is asked
for again and again; the delay runs from before the post to the end of the page that shows it, so
that it holds a page's own time too. Under 1 s at p95 in both ways of running.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field

import httpx
import pytest

from app.records import conversation_id
from app.sandbox.hook_signing import signed_headers
from app.webhooks.receive import PATH
from tests.bench.figures import tell, verdict
from tests.beside import until
from tests.fixtures.people import browser_of
from tests.fixtures.program import Program
from tests.fixtures.valkey import free_port
from tests.flows.test_hooks_outages import AT_MS, OLD, TODAY, connect, serve
from tests.hooking import row_of, sent
from tests.ingesting import WEBSITE

HOOKS = 100
EVERY = 0.1
TARGET = 1.0
SESSION = "session_delay"


@dataclass(frozen=True)
class Server:
    address: str
    database_url: str


@dataclass
class Delays:
    """When each hook was posted and when a page first showed it, by its number."""

    server: Server
    posted: dict[int, float] = field(default_factory=dict)
    shown: dict[int, float] = field(default_factory=dict)

    def send_all(self) -> None:
        begin = time.monotonic()
        with httpx.Client(base_url=self.server.address) as web:
            for number in range(HOOKS):
                time.sleep(max(0.0, begin + number * EVERY - time.monotonic()))
                self.posted[number] = time.monotonic()
                self._post(web, number)

    def _post(self, web: httpx.Client, number: int) -> None:
        text = f"token-{number:03}."
        body: bytes = row_of(sent(SESSION, number, text, at=TODAY + number / 600))["body"]
        headers = signed_headers(OLD, "plugin/rtm", body, timestamp_ms=AT_MS, attempt=1, limit=1)
        assert web.post(PATH, content=body, headers=headers).status_code == 200

    def look(self, web: httpx.Client) -> bool:
        """Whether all were shown."""
        page = web.get(f"/conversations/{conversation_id(WEBSITE, SESSION)}")
        assert page.status_code in {200, 404}, page.status_code  # not there before the first hook
        now = time.monotonic()
        for number in set(self.posted) - self.shown.keys():
            if f"token-{number:03}." in page.text:
                self.shown[number] = now
        return len(self.shown) == HOOKS

    @property
    def sorted(self) -> list[float]:
        return sorted(self.shown[number] - at for number, at in self.posted.items())


@pytest.fixture(params=["embedded on SQLite", "worker with Redis on PostgreSQL"])
def server(request: pytest.FixtureRequest, program: Program) -> Server:
    port, embedded = free_port(), request.param.startswith("embedded")
    url = request.getfixturevalue("sqlite_url" if embedded else "migrated_postgres_url")
    more = {} if embedded else {"REDIS_URL": request.getfixturevalue("redis_url")}
    connect(url)
    serve(program, url, port, **more)
    if not embedded:
        program.start("worker", env={"DATABASE_URL": url, **more})
    return Server(f"http://127.0.0.1:{port}", url)


def test_delay_from_receipt_to_page(server: Server, request: pytest.FixtureRequest) -> None:
    warm_up = Delays(server)
    with browser_of(server.address, server.database_url) as web:
        warm_up.posted[HOOKS] = time.monotonic()
        warm_up._post(web, HOOKS)
        until(lambda: warm_up.look(web) or warm_up.shown)
        delays = Delays(server)
        sender = threading.Thread(target=delays.send_all)
        sender.start()
        until(lambda: delays.look(web))
        sender.join()
    each = delays.sorted
    p50, p95 = each[HOOKS // 2], each[int(HOOKS * 0.95)]
    way, load = request.node.callspec.params["server"], os.getloadavg()[0]
    tell(f"from receipt to page, {way}: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")
    tell(f"  p95 in seconds: {p95:.2f}; {verdict(p95, TARGET)} (load {load:.1f})")
