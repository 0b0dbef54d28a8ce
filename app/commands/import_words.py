"""An import and its rows in words of a terminal."""

from __future__ import annotations

from typing import Any

_WORDS = (
    ("rows", "rows"),
    ("create", "to create"),
    ("update", "to update"),
    ("created", "created"),
    ("updated", "updated"),
    ("unchanged", "unchanged"),
    ("skip", "skipped"),
    ("error", "bad"),
    ("refused", "refused because what they are about changed"),
    ("undone", "taken back"),
)


def in_words(row: Any) -> str:
    counts: dict[str, int] = row.counts
    written = row.state not in {"planning", "planned"}
    hidden = {"create", "update"} if written else {"created", "updated"}
    told = [
        f"{counts[key]:,} {word}"
        for key, word in _WORDS
        if key not in hidden and (counts.get(key) or key == "rows") and key in counts
    ]
    return ", ".join(told) or "nothing yet"


def changes_in_words(row: Any) -> str:
    """`update: phone none → +3465…` or what is wrong."""
    problems = [_problem(told) for told in row.problems or []]
    if row.outcome == "error" or row.state in {"refused", "kept"}:
        word = "bad" if row.outcome == "error" else row.state
        return f"{word}: {' '.join(problems)}"
    changes: dict[str, Any] = row.changes or {}
    told = [
        f"{t} {_shown(old)} → {_shown(new)}"
        for t, (old, new) in sorted(changes.get("fields", {}).items())
    ]
    if "segments" in changes:
        before, after = changes["segments"]
        told.append(f"segments {_shown('|'.join(before))} → {_shown('|'.join(after))}")
    if changes.get("company", {}).get("joins"):
        told.append(f"joins {changes['company']['name'] or changes['company']['domain']}")
    if changes.get("company", {}).get("gets_domain"):
        told.append(f"company gets {changes['company']['domain']}")
    if changes.get("aliases"):
        told.append(f"goes by {_shown('|'.join(value for _, value in changes['aliases']))}")
    return ": ".join(part for part in (row.outcome, "; ".join([*told, *problems])) if part)


def _problem(told: dict[str, Any]) -> str:
    where = f"{told['column']}: " if told["column"] else ""
    return f"{where}{told['reason']} {told['suggestion']}".strip()


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return "none" if value in (None, "", []) else text[:60]
