"""Every environment variable, typed; `.env` in the working directory is read too."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import Refused

Positive = Annotated[int, Field(gt=0)]
Days = Annotated[int, Field(ge=0, le=36_500)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: str = "sqlite+aiosqlite:///data/crispsync.db"
    redis_url: str | None = None
    crisp_api_url: str = "https://api.crisp.chat/v1"
    crisp_identifier: str | None = None
    crisp_key: SecretStr | None = None
    crisp_plugin_id: str | None = None
    crisp_signing_secret: SecretStr | None = None
    """Signs the web hooks; several separated by commas while one replaces another."""
    crisp_daily_quota: Positive = 5000
    """Requests a day that Crisp allows this plugin over all its websites (SPEC S6)."""
    crisp_concurrency: Positive = 8
    """Requests to Crisp at once, per process."""
    secret_key: SecretStr | None = None
    """Seals what nobody may read in the database; several while one replaces another (app/vault)."""
    public_url: str = "http://127.0.0.1:8000"
    """Where people and Crisp reach the pages; its host is the one that they answer to."""
    admin_email: str | None = None
    admin_password: SecretStr | None = None
    """The first user, made at start if there is none."""
    sync_every_minutes: Positive = 15
    api_requests_per_minute: Positive = 600
    """Requests a minute that each API token may make of each web process."""
    changes_days: Positive = 30
    """How long the change feed keeps what changed; an older cursor is told to start anew."""
    audit_quota_percent: Annotated[float, Field(ge=0, le=50)] = 2
    """Of the day's requests, for looking whether what is stored is right; 0: only when asked for (SPEC S8)."""
    metrics_token: SecretStr | None = None
    """Who sends it as a bearer token may read /metrics; without one only this machine may."""
    business_hours: str = "mon-fri 09:00-17:00"
    """When the team works, in each website's time zone: figures tell waits within them too (SPEC V8)."""
    smtp_url: SecretStr | None = None
    """The mail server of alerts (SPEC V9): smtp://user:password@host:587, or smtps:// for TLS from the start."""
    mail_from: str | None = None
    """Whose name stands on its mails; without one, crispsync@ and the host of PUBLIC_URL."""
    alert_remind_hours: Positive = 24
    """When an alert that is still open is told again."""
    alerts_to_private: bool = False
    """Whether alerts may be sent to web hooks within the own network, and to this machine without https."""
    raw_hook_days: Days = 14
    """How long raw hooks are kept (SPEC P8); 0 is for ever, here and in the next two."""
    upload_days: Days = 30
    uninstalled_days: Days = 0
    lease_seconds: Annotated[float, Field(gt=0, le=15)] = 10
    """How long a killed process keeps its run before another takes over (SPEC S5: at most 15 s)."""
    uploads_folder: Path = Path("data/uploads")
    """Uploaded CSV files, under random names; every web and worker process must see the same folder."""
    erased_file: Path | None = None
    """Who was erased, outside the database (app/contacts/outside.py); without it beside the SQLite file
    or in the data folder."""
    import_max_mb: Positive = 512
    """The biggest CSV file that is taken."""

    @property
    def signing_secrets(self) -> tuple[bytes, ...]:
        """Every secret that counts at the moment; empty when hooks cannot be verified."""
        return tuple(part.encode() for part in split_secrets(_plain(self.crisp_signing_secret)))

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The current one first; empty when SECRET_KEY is not set."""
        return split_secrets(_plain(self.secret_key))

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: str | None) -> str | None:
        return url and _require_address(url, "redis", "rediss", "unix")

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _require_address(url.get_secret_value(), "smtp", "smtps")
        return url

    @field_validator("mail_from")
    @classmethod
    def _check_mail_from(cls, address: str | None) -> str | None:
        if address is not None and ("@" not in address or not address.isprintable()):
            raise ValueError("Write it as name@host")
        return address

    @field_validator("crisp_api_url", "public_url")
    @classmethod
    def _check_web_address(cls, url: str) -> str:
        return _require_address(url, "https", "http")


def split_secrets(text: str) -> tuple[str, ...]:
    """What commas separate, without the space around."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _require_address(url: str, *schemes: str) -> str:
    """The address as it is. Raises ValueError, without the address: it may hold a password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and (parts.hostname or parts.scheme == "unix")
        good = good and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"Write it as {schemes[0]}://host")
    return url


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process; raises Refused naming the variable that is wrong, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{str(item['loc'][0]).upper()}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise Refused(f"The environment is not right: {problems}.") from None


def data_folder() -> Path:
    return Path("data")
