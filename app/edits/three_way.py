"""Two people may have the same form open: what one saw, wants and finds decides, field by field. Pure.

All values are the texts of a form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import Conflict, Refused


@dataclass(frozen=True, slots=True)
class Change:
    """`was` is what the form showed; None where whoever asks wants `new` whatever is there."""

    new: str
    was: str | None = None


@dataclass(frozen=True, slots=True)
class Clash:
    """Somebody changed `field` from `was` to `now` while somebody else wrote `yours`."""

    field: str
    label: str
    was: str
    now: str
    yours: str


class Clashing(Conflict):
    """Nothing of the form was saved."""

    def __init__(self, clashes: Sequence[Clash]) -> None:
        names = ", ".join(clash.label for clash in clashes)
        super().__init__(
            f"Somebody else changed {names} meanwhile, so nothing was saved: "
            "look at both values and save again."
        )
        self.clashes = tuple(clashes)


class Invalid(Refused):
    """`wrong`: by field, what is wrong with its text, as a sentence."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__(" ".join(wrong.values()))
        self.wrong = dict(wrong)


def decide(
    current: Mapping[str, str], told: Mapping[str, Change], labels: Mapping[str, str]
) -> dict[str, str]:
    """What is to be written. Raises Clashing; then nothing is."""
    written: dict[str, str] = {}
    clashes: list[Clash] = []
    for field, change in told.items():
        new, now = tidy(change.new), tidy(current.get(field, ""))
        was = now if change.was is None else tidy(change.was)
        if new in {was, now}:
            continue
        if now != was:
            clashes.append(Clash(field, labels.get(field, field), was, now, new))
        written[field] = new
    if clashes:
        raise Clashing(clashes)
    return written


def tidy(text: str) -> str:
    """As a browser may send it back: other ends of lines, other space around."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").split("\n")
    return "\n".join(line.strip() for line in lines).strip()
