"""The core of conversation *i*: who, when, how long, in which language; cheap to compute.

A hundred consecutive conversations hold every kind of visitor (``Visitor``), and 450 consecutive
ones every odd content (``Odd``), so that even a small world has them all.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from app.sandbox.chance import MASK, mix, uuid_of
from app.sandbox.clock import DAY, HOUR, MINUTE
from app.sandbox.population import FREEMAIL, NO_EMAIL, ODDITIES, PLUS_TAG, SHARED_A, Population


class Visitor(IntEnum):
    """How a conversation says who it is with (SPEC M1, M2)."""

    KNOWN = 0  # people_id and the address of that person
    KNOWN_NO_ADDRESS = 1  # people_id only
    CONFLICT = 2  # people_id of one person, address of another
    ADDRESS = 3  # no people_id; a known address in other case, with space around it
    SHARED = 4  # no people_id; an address two people have
    TAGGED = 5  # no people_id; a known address with a plus tag
    STRANGER = 6  # no people_id; an address nobody has
    ANONYMOUS = 7  # neither
    GHOST = 8  # a people_id that names nobody, no address
    GHOST_ADDRESS = 9  # a people_id that names nobody, a known address
    IDN = 10  # no people_id; the punycode form of an address with an IDN domain


_KINDS = (
    [Visitor.KNOWN] * 62 + [Visitor.KNOWN_NO_ADDRESS] * 4 + [Visitor.CONFLICT] * 2
    + [Visitor.ADDRESS] * 8 + [Visitor.SHARED] * 2 + [Visitor.TAGGED] + [Visitor.STRANGER] * 7
    + [Visitor.ANONYMOUS] * 10 + [Visitor.GHOST] + [Visitor.GHOST_ADDRESS] * 2 + [Visitor.IDN]
)  # fmt: skip


class Odd(IntEnum):
    """Odd content, by conversation number modulo 450."""

    NUL = 0
    SURROGATE = 1
    SCRIPT = 2
    BAD_URLS = 3
    RTL = 4
    ZWJ = 5
    HUGE = 6
    TYPES = 7
    CONTENTS = 8
    SAME_MOMENT = 9
    NEGATIVE = 10
    BEYOND_INT32 = 11
    REPEATED_A = 12
    REPEATED_B = 13
    ABSURD_TIMES = 14
    HALF_MISSING = 15
    EVENTS = 16
    EDGE_TIES = 17
    FORMULA = 18
    ODD_KEYS = 19
    NULL_META = 20
    BLOCKED = 21


CYCLE = 450
# Conversations of these slots share one update time, to the ms, in blocks of ten.
_TIED = range(40, 50)
_EMPTY = (97, 197, 297, 397)
# How many messages a conversation has, one entry per two hundred of them.
_SIZES = (
    (1,) * 8 + (2,) * 13 + (3,) * 16 + (4,) * 22 + (5,) * 24 + (6,) * 22 + (7,) * 18 + (8,) * 14
    + (9,) * 11 + (10,) * 10 + (12,) * 12 + (14,) * 9 + (16,) * 8 + (18,) * 6 + (22,) * 3
    + (28,) * 2 + (40,) + (55,)
)  # fmt: skip
# Requests per hour of the day (UTC), out of 100: people write in working hours.
_HOURS = (
    [0, 1, 5, 6, 7, 7] + [8] * 12 + [9] * 16 + [10] * 14 + [11] * 10 + [12] * 5 + [13] * 9
    + [14] * 11 + [15] * 8 + [16] * 6 + [17] * 4 + [18] * 2 + [19, 20, 22]
)  # fmt: skip


# eq=False: hashed by identity, so that a cache keyed by it stays cheap.
@dataclass(frozen=True, slots=True, eq=False)
class Casebook:
    """What the conversations of one website are computed from. Times in ms."""

    key: int
    size: int
    start_ms: int
    people: Population
    operators: int


class Case(NamedTuple):
    """The core of one conversation; ``key`` is the seed of everything else about it."""

    number: int
    key: int
    visitor: Visitor
    person: int | None
    odd: int
    messages: int
    last_ms: int
    operator: int
    script: int
    slow: bool
    bot: bool


def session_id(book: Casebook, i: int) -> str:
    return "session_" + uuid_of(book.key ^ 0x5E, i)


def case(book: Casebook, i: int) -> Case:
    key = mix(book.key ^ (i << 4))
    throw = mix(key)
    visitor = _KINDS[(i * 37 + 11) % 100] if book.people.size else Visitor.STRANGER
    odd = i % CYCLE
    return Case(
        i,
        key,
        visitor,
        _person(book.people, visitor, throw),
        odd,
        _size(i, odd, throw >> 8),
        _last_ms(book.start_ms, i, key),
        (throw >> 20) % book.operators,
        (throw >> 28) & 0xFF,
        (throw >> 40) % 10 < 3,
        (throw >> 48) % 4 == 0,
    )


def _size(i: int, odd: int, throw: int) -> int:
    if i % 1000 == 22 or i == 23:
        return 300
    if odd in _EMPTY:
        return 0
    if odd == Odd.EDGE_TIES:
        return 120
    size = _SIZES[throw % len(_SIZES)]
    return max(size, 14) if odd < len(Odd) else size


def _person(people: Population, visitor: Visitor, throw: int) -> int | None:
    """Some people write far more often than others."""
    if visitor in (Visitor.STRANGER, Visitor.ANONYMOUS, Visitor.GHOST):
        return None
    share = ((throw & 0xFFFFF) / 0x100000) ** 1.5
    person = int(share * people.size)
    if visitor in (Visitor.KNOWN, Visitor.KNOWN_NO_ADDRESS, Visitor.CONFLICT):
        return person
    return _addressee(people, visitor, person)


_SLOT_OF = {Visitor.SHARED: SHARED_A, Visitor.TAGGED: PLUS_TAG + 1, Visitor.IDN: 17}
_NO_UNIQUE_ADDRESS = frozenset((*NO_EMAIL, SHARED_A, SHARED_A + 1, *FREEMAIL))


def _addressee(people: Population, visitor: Visitor, person: int) -> int:
    slot = _SLOT_OF.get(visitor)
    if slot is not None:
        block = person // ODDITIES * ODDITIES
        return block + slot if block + slot < people.size else min(slot, people.size - 1)
    while person % ODDITIES in _NO_UNIQUE_ADDRESS:
        person += 1
    return person if person < people.size else 0


def _last_ms(start_ms: int, i: int, key: int) -> int:
    """The last sign of life: spread over two years, on weekdays, in working hours."""
    throw = mix(key ^ 0x7A)
    if i % CYCLE in _TIED:
        i, throw = i - i % 10, mix(i // 10)
    today = start_ms // DAY
    # Every fortieth is from the last three days; the others thin out into the past.
    share = (throw & 0xFFFFF) / 0x100000
    age = int(share * 3) if i % 40 == 3 else int(730 * share**1.3)
    day = today - age
    weekday = (day + 3) % 7
    if weekday > 4 and (throw >> 20) % 8:
        day -= weekday - 4
    hour = _HOURS[(throw >> 24) % len(_HOURS)]
    at = day * DAY + hour * HOUR + (throw >> 32) % HOUR
    newest = start_ms - MINUTE
    return at if at < newest else newest - (throw >> 32) % (2 * HOUR)


def moments(of: Case) -> list[int]:
    """When each message was sent, ascending (ms), computed backwards from the last one."""
    n = of.messages
    at = of.last_ms
    back = [at] * n
    state = of.key
    ties = _ties(of)
    for j in range(n - 2, -1, -1):
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        roll = (state >> 33) % 100
        if j in ties:
            gap = 0
        elif roll < 72:
            gap = 15_000 + (state >> 40) % 280_000
        elif roll < 92 or not of.slow:
            gap = 5 * MINUTE + (state >> 40) % (70 * MINUTE)
        else:
            gap = 20 * HOUR + (state >> 40) % (7 * HOUR)
        at -= gap
        back[j] = at
    return back


def _ties(of: Case) -> frozenset[int]:
    """Messages sent in the same ms as the next one; for a batch of 40 the worst places."""
    if of.odd == Odd.SAME_MOMENT:
        return frozenset((1, 2, 5))
    if of.odd == Odd.EDGE_TIES or of.messages == 300:
        edges = [e for start in range(40, of.messages, 40) for e in (start, of.messages - start)]
        return frozenset(e + d for e in edges for d in (-2, -1, 0))
    return frozenset()


_REPEATED = 150_698_569_649_423
_BEYOND_INT32 = 2_147_483_640


def fingerprint(of: Case, j: int) -> int:
    """The id of message j: unique inside the conversation only, sometimes negative."""
    if of.odd == Odd.NEGATIVE:
        return -333 - j
    if of.odd == Odd.BEYOND_INT32:
        return _BEYOND_INT32 + j
    if of.odd in (Odd.REPEATED_A, Odd.REPEATED_B):
        return _REPEATED + j
    return 100_000_000_000_000 + of.key % 800_000_000_000_000 + j * 7919
