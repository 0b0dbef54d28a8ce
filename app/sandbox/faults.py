"""Faults on demand: which ones hit a request, by chance, by count or by route."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from app.sandbox.chance import Dice

# What each fault does, and which of the fields below it reads.
NAMES = {
    "status": "answers with an error: status (400-599), reason, retry_after (seconds)",
    "drop": "closes the connection without an answer",
    "half_body": "announces the whole body, sends half of it and closes",
    "html_200": "an HTML page with status 200",
    "error_200": 'the envelope {"error": true} with status 200',
    "wrong_content_type": "the right body as text/plain",
    "slow": "waits delay_ms before the answer",
    "stale": "repeats the answer this address got, if that was at most `seconds` ago",
    "empty_page": "data: [] instead of page `page` (any page if 0), with the right code",
    "deep_refused": "400 for every list page after `page`",
    "deep_capped": "an empty list, 200, for every list page after `page`",
    "shuffled_ties": "rows with the same time change places in every answer",
    "duplicate_rows": "the first and the last row of a list come twice",
    "circular": "messages: always the latest batch, always 206",
    "visibility_delay": "rows appear in lists only `seconds` after their own time",
    "uninstall": "uninstalls the website asked for, before the request is answered",
}
_LISTS = ("*/conversations/*", "*/messages", "*/profiles/*", "*/list/*", "*/all/*")
# Faults that make sense on some routes only; a count is not used up elsewhere.
_WHERE = {
    "empty_page": _LISTS,
    "duplicate_rows": _LISTS,
    "circular": ("*/messages",),
    "deep_refused": _LISTS,
    "deep_capped": _LISTS,
    "shuffled_ties": ("*/conversations/*", "*/profiles/*"),
    "uninstall": ("/website/*",),
}


@dataclass(slots=True)
class Fault:
    """One fault. It hits a request that passes every filter, if chance and count allow."""

    name: str
    probability: float = 1.0
    count: int | None = None  # hits left; None: until cleared
    after: int = 0  # requests (that pass the filters) left in peace first
    route: str | None = None  # route template, with * and ? as wildcards
    match: str | None = None  # text that the path and query must contain
    website: str | None = None
    status: int = 503
    reason: str | None = None
    retry_after: float | None = None  # seconds
    delay_ms: float = 0
    seconds: float = 0
    page: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            msg = f"no such fault: {self.name} (there are {', '.join(NAMES)})"
            raise ValueError(msg)

    def passes(self, template: str, target: str) -> bool:
        if self.route is not None and not fnmatchcase(template, self.route):
            return False
        if self.match is not None and self.match not in target:
            return False
        if self.website is not None and f"/website/{self.website}" not in target:
            return False
        where = _WHERE.get(self.name)
        if where is not None and not any(fnmatchcase(template, one) for one in where):
            return False
        return self.name != "empty_page" or not self.page or _page(target) == self.page


def _page(target: str) -> int:
    last = target.partition("?")[0].rpartition("/")[2]
    return int(last) if last.isdigit() else 0


class FaultBoard:
    """The faults in force."""

    def __init__(self, seed: int) -> None:
        self.faults: list[Fault] = []
        self._dice = Dice(seed ^ 0xFA017)

    def add(self, name: str, **settings: Any) -> Fault:
        fault = Fault(name, **settings)
        self.faults.append(fault)
        return fault

    def clear(self, name: str | None = None) -> int:
        """Take away the faults of one name, or all. Returns how many."""
        kept = [] if name is None else [fault for fault in self.faults if fault.name != name]
        gone = len(self.faults) - len(kept)
        self.faults = kept
        return gone

    def strike(self, template: str, target: str) -> dict[str, Fault]:
        """The faults that hit this request; counts go down."""
        if not self.faults:
            return {}
        struck: dict[str, Fault] = {}
        for fault in self.faults:
            if fault.name not in struck and fault.passes(template, target) and self._due(fault):
                struck[fault.name] = fault
        return struck

    def _due(self, fault: Fault) -> bool:
        if fault.count is not None and fault.count <= 0:
            return False
        if fault.after > 0:
            fault.after -= 1
            return False
        if fault.probability < 1 and not self._dice.percent(fault.probability * 100):
            return False
        if fault.count is not None:
            fault.count -= 1
        fault.hits += 1
        return True
