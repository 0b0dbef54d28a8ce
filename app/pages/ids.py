"""Ids in addresses: what cannot be one is not looked up."""

from __future__ import annotations

import re

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}")


def known_id(text: str) -> bool:
    """Whether it has the shape of an id of ours; PostgreSQL refuses some texts, NUL for one."""
    return _ID.fullmatch(text) is not None
