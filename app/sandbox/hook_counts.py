"""What became of the hooks: counts, and the bodies that were acknowledged."""

from collections import Counter, OrderedDict
from typing import Any

# Digests kept of acknowledged bodies; about 200 bytes each.
_KEPT = 200_000


class HookCounts:
    """Counts since the last reset.

    Of hooks: ``told`` (all that Crisp would send), ``lost``, ``withheld`` (website not
    installed), ``overflowed`` (no room). Of copies: ``doubled``, ``resigned``, ``late``,
    ``reordered``. Of requests: ``sent``, ``acknowledged`` (2xx), ``refused`` by status,
    ``unreachable``, ``retried``. Of deliveries: ``given_up`` (attempts used up), ``dropped``
    (sending was switched off).
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.of: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.acknowledged_events: Counter[str] = Counter()
        self.acknowledged_bodies: OrderedDict[bytes, None] = OrderedDict()

    def acknowledged(self, event: str, digest: bytes) -> None:
        self.of["acknowledged"] += 1
        self.acknowledged_events[event] += 1
        self.acknowledged_bodies[digest] = None
        if len(self.acknowledged_bodies) > _KEPT:
            self.acknowledged_bodies.popitem(last=False)

    def as_dict(self) -> dict[str, Any]:
        names = (
            "told", "lost", "withheld", "overflowed", "doubled", "resigned", "late", "reordered",
            "sent", "acknowledged", "unreachable", "retried", "given_up", "dropped",
        )  # fmt: skip
        return {
            **{name: self.of[name] for name in names},
            "refused": {str(status): n for status, n in sorted(self.refused.items())},
            "acknowledged_events": dict(sorted(self.acknowledged_events.items())),
        }
