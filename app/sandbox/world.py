"""The whole state of the sandbox: websites, clock, faults, quota, counters and changes."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from app.sandbox.cases import Casebook
from app.sandbox.chance import Dice, key_of, uuid_of
from app.sandbox.clock import Clock
from app.sandbox.counters import Counters
from app.sandbox.envelope import Answer
from app.sandbox.faults import FaultBoard
from app.sandbox.phrases import names
from app.sandbox.population import Population
from app.sandbox.quota import Quota
from app.sandbox.records import Change, CompanyMove
from app.sandbox.site import Site

if TYPE_CHECKING:
    from app.sandbox.hooks import HookSender

_KEPT_CHANGES = 100_000
FREEMAIL = ("freemail.example", "webpost.example")


class World:
    """A seeded world. The same seed, sizes and start give the same websites.

    ``start_ms``: the clock's first moment (default: now). ``frozen``: the clock stands still.
    ``delay_ms``: every answer takes this long. ``changes_per_request``: how many changes happen
    between two requests (a fraction is a chance). ``quota``: requests a day. ``others``: sizes of
    further websites as (people, conversations, installed).
    """

    def __init__(  # noqa: PLR0913 - every option of the sandbox is chosen here
        self,
        seed: int = 1,
        people: int = 300,
        conversations: int = 900,
        *,
        start_ms: int | None = None,
        frozen: bool = False,
        delay_ms: float = 0,
        changes_per_request: float = 0,
        quota: int | None = None,
        others: Iterable[tuple[int, int, bool]] = ((60, 120, True), (60, 120, False)),
        faults: Iterable[dict[str, Any]] = (),
        mix: dict[str, float] | None = None,
        freemail: tuple[str, ...] = FREEMAIL,
    ) -> None:
        self.seed = seed
        self.clock = Clock(start_ms, frozen=frozen)
        self.start_ms = self.clock.start_ms
        self.delay_ms = delay_ms
        self.changes_per_request = changes_per_request
        self.changes_left: int | None = None
        self.mix = dict(mix) if mix is not None else None
        self.quota = Quota(quota)
        self.counters = Counters()
        self.faults = FaultBoard(seed)
        self.dice = Dice(key_of(seed, "dice"))
        self.changes: deque[Change] = deque(maxlen=_KEPT_CHANGES)
        self.company_moves: list[CompanyMove] = []
        self.listeners: list[Callable[[Change], None]] = []
        self.hooks: HookSender | None = None
        self.answers: OrderedDict[str, tuple[int, Answer]] = OrderedDict()
        self.freemail = freemail
        self.change_count = 0
        self._credentials()
        self.sites: dict[str, Site] = {}
        self.main = self.add_website(people, conversations)
        for size in others:
            self.add_website(size[0], size[1], installed=size[2])
        for fault in faults:
            self.faults.add(**fault)

    def _credentials(self) -> None:
        key = key_of(self.seed, "plugin")
        self.identifier = uuid_of(key, 1)
        self.key = "".join(f"{key_of(key, k):016x}" for k in range(4))
        self.plugin_id = uuid_of(key, 2)
        self.signing_secret = "".join(f"{key_of(key, k):016x}" for k in range(4, 6))

    @property
    def website_id(self) -> str:
        """The main website."""
        return self.main.website_id

    def add_website(
        self, people: int = 60, conversations: int = 120, *, installed: bool = True
    ) -> Site:
        """One more website, computed from the seed and how many there were before it."""
        n = len(self.sites)
        key = key_of(self.seed, "website", n)
        population = Population(key, people, self.start_ms, self.freemail)
        operators = min(len(names()["operators"]), 5 + key % 3)
        book = Casebook(key, conversations, self.start_ms, population, operators)
        title = ("Acme Support", "Bluefern Help", "Closed Shop")[n] if n < 3 else f"Site {n}"
        site = Site(
            uuid_of(key_of(self.seed, "site"), n), title, book, f"{key_of(key, 'token'):016x}"
        )
        site.installed = installed
        if installed:
            site.install_changes.append((self.start_ms, "linked"))
        self.sites[site.website_id] = site
        return site
