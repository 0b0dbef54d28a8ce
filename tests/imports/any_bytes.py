"""Files of any content, some of which get as far as a commit: `@given(content=CONTENTS, layout=LAYOUTS)`."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from app.imports.layout import ENCODINGS, SEPARATORS

# Whatever stands in a cell; also what ends lines, cells and quotes where nobody expects it.
_CELLS = st.text(max_size=12) | st.sampled_from(
    ["a@x.example", "b@x.example", "=1+1", '"', "\0", "\ud83d", "x" * 5000, "\x85", "\u2028", ""]
)
_ROWS = st.lists(st.lists(_CELLS, max_size=5), max_size=6)


def _encoded(separator: str, encoding: str, rows: list[list[str]]) -> bytes:
    head = separator.join(["email", "name", "plan"])
    text = "\n".join([head, *(separator.join(row) for row in rows)])
    return text.encode(encoding, "replace")


CONTENTS = (
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
    | st.builds(
        _encoded, st.sampled_from(list(SEPARATORS)), st.sampled_from(list(ENCODINGS)), _ROWS
    )
)
LAYOUTS: Any = st.fixed_dictionaries(
    {
        "encoding": st.sampled_from([*ENCODINGS, "rot13", ""]),
        "separator": st.sampled_from([*SEPARATORS, "#"]),
        "header": st.booleans(),
    }
)


def some(examples: int) -> settings:
    return settings(
        max_examples=examples,
        # Whatever fails is short enough as it is.
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
