"""New ids: UUIDs of version 7, in the order of their milliseconds."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.db.base import new_id


def test_ids_are_uuids_of_version_7_and_differ() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    for text in ids:
        read = UUID(text)
        assert (str(read), read.version, read.variant) == (text, 7, "specified in RFC 4122")


def test_ids_are_in_the_order_of_their_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0, 1, 0x0123_4567_89AB, 0x0123_4567_89AC, 2**48 - 1]
    ids = []
    for ms in moments:
        monkeypatch.setattr("app.clock.now_ms", lambda at=ms: at)
        ids.append(new_id())
    assert ids == sorted(ids)
    assert [UUID(text).int >> 80 for text in ids] == moments
