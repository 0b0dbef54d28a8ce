"""The key that erasures need, for code that asks the settings of this process."""

from collections.abc import Iterator

import pytest

from app.settings import get_settings
from tests.fixtures.program import SECRET_KEY


@pytest.fixture(autouse=True)
def secret_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()
