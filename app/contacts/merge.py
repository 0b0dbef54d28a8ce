"""What pieces of news about one person make of the stored contact. Only values that Crisp changed are
written (SPEC D5, D7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from app import clock
from app.contacts.mapping import COLUMNS, COMPUTED, apply, map_fields, with_computed
from app.contacts.segments import replace_own, shown_segments
from app.db.base import StoredRow, new_id
from app.db.upsert import Row
from app.normal import fold_for_search
from app.records import ContactRecord, Fields, is_removed, rank_of
from app.sources import WITHOUT_CRISPS_ADDRESS, is_by_hand, without
from app.versions import NEVER, Registers, packed

_SEGMENTS = "segments"
_CUSTOM_DATA = "data"


def merge_contact(
    website_id: str,
    mapping: Mapping[str, str],
    row: StoredRow | None,
    news: Sequence[ContactRecord],
) -> Row:
    """The row as it is after `news` of one person, in whatever order they came (SPEC D4, D5, D7)."""
    registers = _registers(row)
    merged: Row = dict(UNSEEN) if row is None else {name: getattr(row, name) for name in UNSEEN}
    for record in news:
        _take(merged, registers, record)
    before: Fields = row.crisp_fields if row is not None else {}
    fields = _fields(registers)
    # What Crisp never filled is no change of Crisp's when it is told as empty (SPEC D7).
    changed = [p for p in {**before, **fields} if before.get(p) != fields.get(p)]
    columns: Fields = {name: getattr(row, name, None) for name in COLUMNS}
    attributes: Fields = dict(row.attributes) if row is not None else {}
    written = map_fields(mapping, fields, changed)
    field_sources: Fields = row.field_sources if row is not None else {}
    if row is not None and row.crisp_people_id is None:
        # Seen in Crisp for the first time is not changed by Crisp: a person's word stays (SPEC D7).
        written = {t: value for t, value in written.items() if not is_by_hand(field_sources, t)}
    elif "email" in changed:
        field_sources = without(field_sources, (WITHOUT_CRISPS_ADDRESS,))
    apply(written, columns, attributes)
    sources = row.segment_sources if row is not None else {}
    if _SEGMENTS in registers.values:
        sources = replace_own(sources, "crisp", registers.values[_SEGMENTS])
    moment = clock.now()
    return merged | {
        "website_id": website_id,
        "id": row.id if row is not None else new_id(),
        "crisp_people_id": news[0].people_id,
        **columns,
        "attributes": attributes,
        "segments": shown_segments(sources),
        "segment_sources": sources,
        "field_sources": without(field_sources, written),
        "source": row.source if row is not None else "crisp",
        "deleted_at": _deleted_at(row, merged),
        "created_at": row.created_at if row is not None else moment,
        "updated_at": moment,
        "search": fold_for_search(
            columns["name"], columns["email"], columns["phone"], attributes.get("company_name")
        ),
        "crisp_fields": fields,
        "field_versions": packed(registers, (_SEGMENTS, _CUSTOM_DATA), ()),
    }


UNSEEN: Row = {
    "crisp_raw": None,
    "version_ms": 0,
    "observed_ms": 0,
    "seen_ms": 0,
    "direct_ms": None,
    "removed_observed_ms": None,
}


def _registers(row: StoredRow | None) -> Registers:
    """The fields by their path, the segments and the custom data as one field each."""
    if row is None or row.crisp_people_id is None:
        return Registers({}, NEVER, {})
    custom = {p: v for p, v in row.crisp_fields.items() if p.startswith("data.")}
    values = {p: v for p, v in row.crisp_fields.items() if p not in custom and p != COMPUTED}
    versions = row.field_versions
    if versions.get(_CUSTOM_DATA) != 0:
        values[_CUSTOM_DATA] = custom
    if versions.get(_SEGMENTS) != 0:
        values[_SEGMENTS] = [s for s, who in row.segment_sources.items() if "crisp" in who]
    exceptions = {name: rank for name, rank in versions.items() if rank != 0}
    return Registers(values, rank_of(row.version_ms, row.observed_ms), exceptions)


def _fields(registers: Registers) -> Fields:
    told = {p: v for p, v in registers.values.items() if p not in {_SEGMENTS, _CUSTOM_DATA}}
    return with_computed({**told, **registers.values.get(_CUSTOM_DATA, {})})


def _take(merged: Row, registers: Registers, record: ContactRecord) -> None:
    """One piece of news: its fields, and what a whole record says of the row."""
    version = record.version
    told = dict(record.fields)
    if record.segments is not None:
        told[_SEGMENTS] = record.segments
    if record.custom_data is not None:  # told completely: what is missing was removed (SPEC D5)
        told[_CUSTOM_DATA] = {f"data.{key}": value for key, value in record.custom_data.items()}
    # As new as what is stored, but of a later time of its own: which came first must not decide.
    newest = record.whole and (version.rank, version.crisp_ms) > (
        registers.rank,
        merged["version_ms"],
    )
    registers.tell(told, version.rank, whole=record.whole)
    if not record.whole:
        return
    merged["seen_ms"] = max(merged["seen_ms"], version.observed_ms)
    if version.direct:
        merged["direct_ms"] = max(merged["direct_ms"] or 0, version.observed_ms)
    if newest:
        merged["crisp_raw"] = {**(merged["crisp_raw"] or {}), **record.raw}
        merged["version_ms"] = version.crisp_ms
        merged["observed_ms"] = version.observed_ms


def _deleted_at(row: StoredRow | None, merged: Row) -> datetime | None:
    if row is not None and (row.hidden_at is not None or row.merged_into is not None):
        decided: datetime | None = row.deleted_at
        return decided  # by a person: no news of Crisp takes it back (SPEC I12, D6)
    return removal(merged["removed_observed_ms"], merged["direct_ms"])


def removal(removed_ms: int | None, direct_ms: int | None) -> datetime | None:
    """When Crisp removed the person; None when it did not, or has it again (SPEC D4)."""
    return clock.from_ms(removed_ms) if is_removed(removed_ms, direct_ms) else None


_COMPARED = (
    *COLUMNS,
    "attributes",
    "segment_sources",
    "crisp_fields",
    "crisp_raw",
    "field_versions",
    "version_ms",
    "direct_ms",
    "deleted_at",
)


def says_nothing_new(row: StoredRow, merged: Row) -> bool:
    if row.crisp_people_id is None:
        return False
    return all(getattr(row, name) == merged[name] for name in _COMPARED)
