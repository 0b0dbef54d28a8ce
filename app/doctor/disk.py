"""Is there room left where the database file and uploaded files are? (FAILURES case 84)"""

from __future__ import annotations

import shutil
from pathlib import Path

from app.db.session import normal_url, sqlite_file
from app.doctor.findings import Finding
from app.settings import Settings

LITTLE = 256 * 1024 * 1024
"""Bytes; a full sync of a large website writes so much within an hour."""


def look_at_disks(settings: Settings) -> list[Finding]:
    """A folder that is not there yet has no disk to be full. PostgreSQL's own disk is not seen from here."""
    file = sqlite_file(normal_url(settings.database_url))
    folders = {settings.uploads_folder.resolve()}
    if file is not None:
        folders.add(file.parent.resolve())
    return [
        Finding("disk_low", f"{free // 1024**2:,} MB are left on the disk of {what}.")
        for what, free in sorted({_room(folder, file) for folder in folders})
        if free < LITTLE
    ]


def _room(folder: Path, file: Path | None) -> tuple[str, int]:
    what = "the database" if file is not None and folder == file.parent.resolve() else "uploads"
    while not folder.exists():
        folder = folder.parent
    return what, shutil.disk_usage(folder).free
