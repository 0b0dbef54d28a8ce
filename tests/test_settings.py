"""The environment: what is wrong is named, what it holds is never shown (CONTRACT, Environment)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import Refused
from app.settings import Settings, get_settings

WRONG = {
    "CRISP_DAILY_QUOTA": ["abc-secret", "0", "-5", "1.5"],
    "CRISP_CONCURRENCY": ["many-secret", "0"],
    "SYNC_EVERY_MINUTES": ["-1", "often-secret"],
    "LEASE_SECONDS": ["0", "15.5", "soon-secret"],
    "REDIS_URL": ["secret", "http://secret", "redis://", "redis://:secret@host:port"],
    "CRISP_API_URL": ["secret", "ftp://secret", "https://", "http://[secret"],
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_defaults_are_those_of_the_contract() -> None:
    settings = get_settings()
    assert settings.database_url == "sqlite+aiosqlite:///data/crispsync.db"
    assert settings.redis_url is None
    assert settings.crisp_api_url == "https://api.crisp.chat/v1"
    assert settings.crisp_daily_quota == 5000
    assert settings.crisp_concurrency == 8
    assert settings.sync_every_minutes == 15
    assert settings.lease_seconds <= 15  # SPEC S5


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_wrong_value_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Refused) as refused:
        get_settings()
    told = refused.value.message
    assert f"{name}: " in told
    assert "secret" not in told
    assert "\n" not in told
    assert refused.value.exit_code == 2


def test_all_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRISP_DAILY_QUOTA", "abc")
    monkeypatch.setenv("LEASE_SECONDS", "abc")
    with pytest.raises(Refused, match=r"CRISP_DAILY_QUOTA: .*; LEASE_SECONDS: "):
        get_settings()


@pytest.mark.parametrize("url", ["redis://h", "rediss://:p@h:6380/2", "unix:///run/redis.sock"])
def test_good_redis_addresses(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert get_settings().redis_url == url


def test_empty_means_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "CRISP_DAILY_QUOTA", "DATABASE_URL", "CRISP_IDENTIFIER"):
        monkeypatch.setenv(name, "")
    settings = get_settings()
    assert settings.redis_url is None
    assert settings.crisp_identifier is None
    assert settings.crisp_daily_quota == 5000


def test_env_file_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("CRISP_DAILY_QUOTA=70\nSYNC_EVERY_MINUTES=3\nUNKNOWN=1\n")
    monkeypatch.setenv("SYNC_EVERY_MINUTES", "4")
    settings = get_settings()
    assert (settings.crisp_daily_quota, settings.sync_every_minutes) == (70, 4)


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:  # SPEC P7
    monkeypatch.setenv("CRISP_KEY", "very-secret")
    assert "very-secret" not in repr(get_settings())
