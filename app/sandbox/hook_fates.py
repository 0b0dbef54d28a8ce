"""What becomes of a hook on its way: lost, doubled, late, overtaken or signed again, by dice.

A hook's fate depends on the seed and the number of its change only, so that the same world with
the same shares has the same fates, in whatever order things are sent.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from app.sandbox.chance import Dice, key_of


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of all hooks, each from 0 to 1, and how far the worst of them go.

    ``lost``: never sent. ``doubled``: sent twice, byte for byte. ``resigned``: sent once more with
    the same body, a later timestamp header and its signature. ``late``: sent up to ``late_s``
    seconds after its time. ``reordered``: overtaken by up to ``overtaken_by`` later hooks.
    """

    lost: float = 0
    doubled: float = 0
    late: float = 0
    reordered: float = 0
    resigned: float = 0
    late_s: float = 5
    overtaken_by: int = 5

    def __post_init__(self) -> None:
        for name in ("lost", "doubled", "late", "reordered", "resigned"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"{name} is a share, from 0 to 1"
                raise ValueError(msg)
        if self.late_s < 0 or self.overtaken_by < 1:
            msg = "late_s is at least 0, overtaken_by at least 1"
            raise ValueError(msg)

    def changed(self, wanted: dict[str, Any]) -> "Shares":
        """These shares with the named ones replaced; other names are left alone."""
        names = {field.name for field in fields(self)}
        return replace(self, **{k: v for k, v in wanted.items() if k in names})


@dataclass(frozen=True, slots=True)
class Copy:
    """One sending of a hook: how late (ms), after how many later hooks, signed anew or not."""

    late_ms: int = 0
    overtaken: int = 0
    resigned: bool = False
    doubled: bool = False


_PLAIN = (Copy(),)


def copies_of(seed: int, number: int, shares: Shares) -> tuple[Copy, ...]:
    """The copies in which the hook of change ``number`` is sent; none if it is lost."""
    if not (shares.lost or shares.doubled or shares.late or shares.reordered or shares.resigned):
        return _PLAIN
    dice = Dice(key_of(seed, "hook", number))
    # All are thrown, so that one share does not decide about the others.
    lost = dice.percent(shares.lost * 100)
    doubled = dice.percent(shares.doubled * 100)
    resigned = dice.percent(shares.resigned * 100)
    copies = [_copy(dice, shares)]
    again, anew = _copy(dice, shares), _copy(dice, shares)
    if doubled:
        copies.append(replace(again, doubled=True))
    if resigned:
        copies.append(replace(anew, resigned=True))
    return () if lost else tuple(copies)


def _copy(dice: Dice, shares: Shares) -> Copy:
    late, overtaken = dice.percent(shares.late * 100), dice.percent(shares.reordered * 100)
    by_ms = 1 + dice.below(max(int(shares.late_s * 1000), 1))
    by_hooks = 1 + dice.below(shares.overtaken_by)
    return Copy(by_ms if late else 0, by_hooks if overtaken else 0)
