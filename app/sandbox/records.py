"""What is kept of a change: enough to tell a reader, a test or a web hook about it."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the world.

    ``event`` is named as Crisp's hook events are (crisp/REFERENCE.md section 7.5) and ``data`` is
    shaped like the hook's data. ``kind`` is the sandbox's own name of the change.
    """

    number: int
    at_ms: int
    kind: str
    event: str
    website_id: str
    data: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CompanyMove:
    """A person's company was replaced: older conversations stay with the old one (SPEC M3)."""

    website_id: str
    people_id: str
    at_ms: int
    old: str | None
    new: str | None
