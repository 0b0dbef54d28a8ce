"""Segments remember who set them, so that Crisp removes only its own (SPEC D7).

`segment_sources` of a contact: {"vip": ["crisp", "csv"]}. One that a person took away while Crisp has it
is owned by REMOVED as well, and not shown, until Crisp itself takes it away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

Sources = dict[str, list[str]]
REMOVED = "removed"
BY_HAND = "manual"


def replace_own(sources: Sources, source: str, segments: Iterable[str]) -> Sources:
    """The sources after `source` told its complete set."""
    wanted = list(dict.fromkeys(segments))
    kept = {
        segment: others
        for segment, owners in sources.items()
        if (others := [owner for owner in owners if owner != source]) or segment in wanted
    }
    for segment in wanted:
        kept[segment] = sorted({*kept.get(segment, ()), source})
    # Once its owner took it away itself, nothing is left of what was removed.
    return {segment: owners for segment, owners in kept.items() if owners != [REMOVED]}


def shown_segments(sources: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted(segment for segment, owners in sources.items() if REMOVED not in owners)


def chosen_by_hand(sources: Mapping[str, Sequence[str]], wanted: Collection[str]) -> Sources:
    """The sources after a person said that these, and no others, are the segments."""
    after: Sources = {}
    for segment, owners in sources.items():
        if segment in wanted:
            given = {*owners, BY_HAND} if REMOVED in owners else {*owners}
            after[segment] = sorted(given - {REMOVED})
        elif "crisp" in owners:
            after[segment] = ["crisp", REMOVED]
    return after | {segment: [BY_HAND] for segment in wanted if segment not in sources}
