"""A sandbox Crisp in a process of its own, and the real command that pulls from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from tests.bench.processes import Spent, run_measured
from tests.fixtures.program import Program
from tests.fixtures.warm import CRISPSYNC

Json = dict[str, Any]
HERE = Path(__file__).parent
MESSAGES = "/website/{website_id}/conversation/{session_id}/messages"
CONVERSATIONS = "/website/{website_id}/conversations/{page}"
PEOPLE = "/website/{website_id}/people/profiles/{page}"


@dataclass(frozen=True, slots=True)
class Box:
    """`said` is the sandbox's first line: where it is and how to speak to it."""

    said: Mapping[str, str]
    control: httpx.Client
    program: Program

    @property
    def website_id(self) -> str:
        return self.said["website_id"]

    def environment(self, database_url: str, **more: str) -> dict[str, str]:
        named = {
            "DATABASE_URL": database_url,
            "CRISP_API_URL": self.said["url"],
            "CRISP_IDENTIFIER": self.said["identifier"],
            "CRISP_KEY": self.said["key"],
            "CRISP_PLUGIN_ID": self.said["plugin_id"],
            "CRISP_DAILY_QUOTA": "100000000",
            "SECRET_KEY": "no secret: nothing but a benchmark is behind it",
            "WEBSITE_ID": self.website_id,
        }
        return self.program.environment(named | more)

    def connect(self, database_url: str) -> None:
        done = self.program.run("connect", self.website_id, env=self.environment(database_url))
        assert done.code == 0, done.stderr

    def sync(self, database_url: str, kind: str = "full") -> Spent:
        """The real command, measured."""
        return run_measured(
            [CRISPSYNC, "sync", f"--{kind}", "--wait"],
            self.environment(database_url),
            self.program.folder,
        )

    def script(self, name: str, database_url: str, *arguments: str | Path) -> Spent:
        """A yardstick of this folder, measured the same way."""
        return run_measured(
            [sys.executable, HERE / name, *arguments],
            self.environment(database_url),
            self.program.folder,
        )

    def show(self, what: str) -> Any:
        return self.control.get(what).raise_for_status().json()

    def rows(self, what: str) -> Iterator[Json]:
        """One of the long lists, line by line."""
        with self.control.stream("GET", what) as answer:
            for line in answer.raise_for_status().iter_lines():
                yield json.loads(line)

    def do(self, what: str, **values: Any) -> Any:
        return self.control.post(what, json=values).raise_for_status().json()

    def counted(self) -> dict[str, int]:
        """Requests by route since the last reset."""
        routes: dict[str, int] = self.show("counters")["by_route"]
        return routes

    def asked(self) -> list[Json]:
        """The log: what was asked, in the order in which it arrived."""
        found: list[Json] = self.show("log")
        return found


@contextmanager
def box(program: Program, people: int, conversations: int, *options: str) -> Iterator[Box]:
    """`options` as of `crispsync sandbox`."""
    sizes = ("--people", str(people), "--conversations", str(conversations))
    running = program.start("sandbox", "--port", "0", *sizes, *options)
    said = json.loads(running.wait_for_line(r"^\{.*\}$").group())
    base = said["url"].removesuffix("/v1") + "/sandbox/"
    with httpx.Client(base_url=base, timeout=600) as control:
        yield Box(said, control, program)
    running.stop()


def path_of(asked: Json) -> str:
    """A logged request as the path and query it was sent with, behind the base URL."""
    arguments = iter(asked["args"])
    parts = [
        quote(next(arguments)) if part.startswith("{") else part
        for part in asked["route"].strip("/").split("/")
    ]
    query = urlencode(asked["params"])
    return "/".join(parts) + (f"?{query}" if query else "")
