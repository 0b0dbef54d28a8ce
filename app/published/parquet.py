"""Exports as Parquet, by pyarrow, which is not installed unless asked for: it is larger than all the rest."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import IO, Any

from app.db.session import Database
from app.errors import Refused
from app.published.columns import Column
from app.published.export import Export, columns_of, pages


def require_pyarrow() -> Any:
    """Raises Refused with how to get it."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise Refused(
            "Parquet needs the library pyarrow: install it with "
            "`uv sync --extra parquet`, or `pip install 'crispsync[parquet]'`."
        ) from None
    return pa


async def write_parquet(db: Database, export: Export, file: Path | IO[bytes]) -> int:
    """A row group for each page; how many rows. Raises Refused."""
    arrow = require_pyarrow()
    columns = await columns_of(db, export)
    schema = arrow.schema([(head, _type(arrow, kind)) for head, kind, _ in columns])
    rows = 0
    with arrow.parquet.ParquetWriter(file, schema) as writer:
        async for records in pages(db, export):
            writer.write_table(_table(arrow, schema, columns, records))
            rows += len(records)
    return rows


def _table(arrow: Any, schema: Any, columns: list[Column], records: list[Any]) -> Any:
    filled = {head: [fill(record) for record in records] for head, _, fill in columns}
    return arrow.Table.from_pydict(filled, schema=schema)


def _type(arrow: Any, kind: type) -> Any:
    if kind is datetime:
        return arrow.timestamp("ms", tz="UTC")
    return {int: arrow.int64(), bool: arrow.bool_()}.get(kind, arrow.string())
