"""Names, places and little support dialogues in several languages, read once from ``data/``."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

LANGUAGES = ("en", "fr", "de", "es", "pt", "ja", "ar", "he")
# Per hundred people; the right-to-left and CJK ones are rare but always there.
LANGUAGE_MIX = (
    ("en",) * 38 + ("fr",) * 18 + ("de",) * 14 + ("es",) * 10 + ("pt",) * 7
) + (("ja",) * 5 + ("ar",) * 4 + ("he",) * 4)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """One dialogue. A turn is (kind, text, has placeholders).

    Kind: u(ser), o(perator), n(ote), f(ile).
    """

    topic: str
    subject: str
    turns: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class Phrases:
    """What people and operators say in one language."""

    bot: str
    scenarios: tuple[Scenario, ...]
    user: tuple[str, ...]
    operator: tuple[str, ...]


def _load(name: str) -> Any:
    return orjson.loads((Path(__file__).parent / "data" / f"{name}.json").read_bytes())


def _scenario(raw: dict[str, Any]) -> Scenario:
    turns = tuple((turn[0], turn[2:], "{" in turn) for turn in raw["turns"])
    return Scenario(raw["topic"], raw["subject"], turns)


@lru_cache
def phrases(language: str) -> Phrases:
    raw = _load(language)
    scenarios = tuple(_scenario(item) for item in raw["scenarios"])
    return Phrases(raw["bot"], scenarios, tuple(raw["user"]), tuple(raw["operator"]))


@lru_cache
def names() -> dict[str, Any]:
    loaded: dict[str, Any] = _load("names")
    return loaded


@lru_cache
def company_words() -> dict[str, list[str]]:
    loaded: dict[str, list[str]] = _load("companies")
    return loaded
