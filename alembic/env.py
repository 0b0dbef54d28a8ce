"""Runs migrations on the database of DATABASE_URL, one process at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text
from sqlalchemy.engine import Connection

from app.db.migrate import MIGRATES, open_for_migration
from app.db.words import is_kept_by_database
from app.settings import get_settings
from app.tables import metadata

LOCK_KEY = 7_110_513_904_826_001


def _is_of_the_models(_object: object, name: str | None, *_rest: object) -> bool:
    return not is_kept_by_database(name)


def run(connection: Connection) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    connection.info[MIGRATES] = True
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        include_object=_is_of_the_models,
        user_module_prefix="base.",
        render_as_batch=on_sqlite,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if not on_sqlite:
            # In this order: another process may migrate for longer than a table may be waited for.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            connection.execute(text("SET LOCAL lock_timeout = '3s'"))
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with open_for_migration(get_settings().database_url) as opened:
        run(opened)
