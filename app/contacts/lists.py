"""Several values in one cell: `vip|beta`; one that holds a separator stands in quotes (SPEC I5)."""

from __future__ import annotations

import re
from collections.abc import Sequence


def split(cell: str, separators: str) -> list[str]:
    """Each once, in order, without outer space. A quote begins a value only where a value begins."""
    if '"' not in cell:
        parts = re.split(f"[{re.escape(separators)}]", cell)
        return list(dict.fromkeys(stripped for part in parts if (stripped := part.strip())))
    found, rest = [], cell
    while rest:
        value, rest = _first(rest, separators)
        if value.strip():
            found.append(value.strip())
    return list(dict.fromkeys(found))


def _first(text: str, separators: str) -> tuple[str, str]:
    bare = text.lstrip()
    quoted = re.match(r'"((?:[^"]|"")*)"\s*', bare)
    if quoted and (quoted.end() == len(bare) or bare[quoted.end()] in separators):
        return quoted[1].replace('""', '"'), bare[quoted.end() + 1 :]
    parts = re.split(f"[{re.escape(separators)}]", text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def joined(values: Sequence[str], separators: str) -> str:
    """What `split` takes apart again."""
    return "|".join(_quoted(value, separators) for value in values)


def _quoted(value: str, separators: str) -> str:
    if value.startswith('"') or any(c in value for c in separators):
        return '"' + value.replace('"', '""') + '"'
    return value
