"""No table is forgotten: every column that could hold a person's data says what an erasure does to it."""

from __future__ import annotations

from sqlalchemy import LargeBinary, Text

from app.db.base import Json
from app.privacy.inventory import BY_CODE, EMPTIED, FREE, MENTIONS, OWN
from app.tables import metadata


def test_every_column_that_can_hold_text_is_accounted_for() -> None:
    # SPEC P6
    forgotten = [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        if table.name not in OWN | EMPTIED
        for column in table.columns
        if isinstance(column.type, Text | Json | LargeBinary)
        and f"{table.name}.{column.name}" not in BY_CODE
        and column.name not in FREE.get(table.name, ())
        and (table.name not in MENTIONS or column.name not in MENTIONS[table.name].columns)
    ]
    assert not forgotten, (
        "What becomes of these when a person is erased? Read app/privacy/inventory.py and add them: "
        + ", ".join(forgotten)
    )


def test_nothing_is_accounted_for_that_is_not_there() -> None:
    for name, columns in FREE.items():
        assert columns <= set(metadata.tables[name].columns.keys()), name
    for name, mention in MENTIONS.items():
        assert set(mention.columns) <= set(metadata.tables[name].columns.keys()), name
    assert set(metadata.tables) >= (OWN | EMPTIED)


def test_what_is_deleted_with_its_owner_has_a_cascade() -> None:
    hanging = OWN - {"contacts", "conversations"}
    for name in hanging:
        rules = {key.ondelete for key in metadata.tables[name].foreign_key_constraints}
        assert "CASCADE" in rules, name
