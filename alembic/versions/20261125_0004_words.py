"""Full-text search: the words of messages, conversations and contacts, kept by the database itself.

PostgreSQL: GIN indexes over expressions. SQLite: FTS5 beside the tables; triggers note what changed. Only the
first 100,000 characters of a message count: a tsvector has a limit (FAILURES case 59).
"""

from __future__ import annotations

from alembic import op

from app.db.words import FIRST_CHARACTERS, SEARCHED

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


_MARKS = "'@.-_+/:\\&=#', '           '"
_SEGMENTS = {"contacts": "segments", "conversations": "(metadata -> 'segments')"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, segments in _SEGMENTS.items():
            op.execute(
                f"CREATE INDEX ix_{table}_segment_words ON {table} "
                f"USING gin ({segments} jsonb_path_ops)"
            )
    for table, column in SEARCHED.items():
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE INDEX ix_{table}_words ON {table} USING gin (to_tsvector('simple', "
                f"translate(left({table}.{column}, {FIRST_CHARACTERS}), {_MARKS})))"
            )
        else:
            for statement in _sqlite(table, column):
                op.execute(statement)


def _sqlite(table: str, column: str) -> list[str]:
    names = {
        "table": table,
        "column": column,
        "words": f"{table}_words",
        "texts": f"{table}_texts",
        "first": FIRST_CHARACTERS,
    }
    return [statement.format(**names) for statement in (*_TABLES, *_TRIGGERS)]


# External content by rowid, which tables with an index keep through VACUUM (a test shows it).
_TABLES = (
    "CREATE VIEW {texts} AS SELECT rowid, substr({column}, 1, {first}) AS body FROM {table}",
    """CREATE VIRTUAL TABLE {words} USING fts5(body, content='{texts}', content_rowid='rowid',
    columnsize=0, tokenize='unicode61 remove_diacritics 2')""",
    "INSERT INTO {words} (rowid, body) SELECT rowid, body FROM {texts} WHERE body <> ''",
    # `kept` is what the index holds of that row, NULL for nothing (app/db/words.py empties it).
    "CREATE TABLE {words}_due (id INTEGER PRIMARY KEY, kept TEXT) STRICT",
)
_NOTE = "INSERT OR IGNORE INTO {words}_due (id, kept) VALUES "
_NOTE_OLD = _NOTE + "(old.rowid, nullif(substr(old.{column}, 1, {first}), ''));"
_TRIGGERS = (
    "CREATE TRIGGER {words}_added AFTER INSERT ON {table} BEGIN "
    + _NOTE
    + "(new.rowid, NULL); END",
    "CREATE TRIGGER {words}_removed AFTER DELETE ON {table} BEGIN " + _NOTE_OLD + " END",
    "CREATE TRIGGER {words}_changed AFTER UPDATE OF {column} ON {table} "
    "WHEN old.{column} IS NOT new.{column} BEGIN " + _NOTE_OLD + " END",
)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _SEGMENTS:
            op.execute(f"DROP INDEX ix_{table}_segment_words")
    for table in SEARCHED:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP INDEX ix_{table}_words")
            continue
        for event in ("added", "removed", "changed"):
            op.execute(f"DROP TRIGGER {table}_words_{event}")
        op.execute(f"DROP TABLE {table}_words")
        op.execute(f"DROP TABLE {table}_words_due")
        op.execute(f"DROP VIEW {table}_texts")
