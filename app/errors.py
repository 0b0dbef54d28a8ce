"""The error tree: a sentence for a person, the HTTP status and the exit code that go with it.

CrispsyncError
├── Refused            wrong input or a state that forbids the request   422, exit 2
│   ├── NotFound       what was named does not exist                     404, exit 2
│   ├── Conflict       somebody else holds what is needed                409, exit 2
│   └── OutOfDate      it changed since whoever asks has seen it         412, exit 2
├── Failed             it was tried and did not work                     502, exit 1
├── DatabaseTooNew     the schema is ahead of this program               503, exit 2
├── DatabaseAway       the database does not answer                      503, exit 1
└── Paused             waits for Crisp's quota and goes on by itself     503, exit 4

Errors that come from Crisp's answers are in app/crisp/errors.py, beside the code that raises them.
"""

from __future__ import annotations


class CrispsyncError(Exception):
    """Root of all expected errors; `message` is one sentence fit for a person."""

    http_status = 500
    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refused(CrispsyncError):
    http_status = 422
    exit_code = 2


class NotFound(Refused):
    http_status = 404


class Conflict(Refused):
    http_status = 409


class OutOfDate(Refused):
    http_status = 412


class Failed(CrispsyncError):
    http_status = 502


class DatabaseTooNew(CrispsyncError):
    http_status = 503
    exit_code = 2


class DatabaseAway(CrispsyncError):
    http_status = 503


class DiskFull(DatabaseAway):
    """The database has no room: what was not written is tried again by whoever had it in hand."""


class Paused(CrispsyncError):
    http_status = 503
    exit_code = 4
