"""Segments remember who set them, so that Crisp removes only its own (SPEC D7)."""

from __future__ import annotations

from collections.abc import Iterable

Sources = dict[str, list[str]]


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
    return kept
