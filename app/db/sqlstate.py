"""Which database errors pass by themselves, and which one value in the rows has caused."""

from __future__ import annotations

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    StatementError,
)

# PostgreSQL: connection lost (08*), serialization and deadlock (40*), shutdown (57P0*), read-only standby.
TRANSIENT_SQLSTATES = ("08", "40001", "40P01", "57P01", "57P02", "57P03", "25006", "55P03")


def is_transient(error: BaseException) -> bool:
    """True when the same transaction, tried again, may succeed (FAILURES case 74, 75)."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, ConnectionError)
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return str(state).startswith(TRANSIENT_SQLSTATES)
    if error.connection_invalidated:
        return True
    text = str(error.orig)
    if "database is locked" in text or "database table is locked" in text:
        return True
    # psycopg reports a refused or dropped connection without a state.
    return isinstance(error, OperationalError | InterfaceError) and "connect" in text.lower()


def is_full(error: DBAPIError) -> bool:
    """True when the database's disk is: nothing was written, and trying again at once is in vain (case 84)."""
    state = getattr(error.orig, "sqlstate", None)
    return state == "53100" or (state is None and "database or disk is full" in str(error.orig))


def is_bad_value(error: BaseException) -> bool:
    """True when leaving a record out helps (FAILURES case 53): never for a full disk or a lost connection."""
    if isinstance(error, DataError | IntegrityError):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        # 54: larger than an index or a column can hold. Without a state: the driver could not send it.
        return str(state).startswith("54") if state else isinstance(error, ProgrammingError)
    return isinstance(error, StatementError | ValueError | TypeError | OverflowError)


def driver_error(sql: str, error: Exception) -> Exception:
    """What SQLAlchemy would have raised, for a statement that did not go through it."""
    return DBAPIError.instance(sql, None, error, Exception, hide_parameters=True)
