"""`crispsync serve` and `crispsync worker`."""

from __future__ import annotations

import asyncio
import signal
import socket
from importlib.util import find_spec
from typing import Any

import click

from app.commands.database import prepare, run_loop
from app.commands.first_login import prepare_login
from app.db.runner_lock import try_runner_lock
from app.db.session import open_database
from app.errors import Conflict, Failed, Refused
from app.logs import configure_logs
from app.settings import Settings, get_settings
from app.vault.keys import load_keyring

GRACE_SECONDS = 20


def serve(host: str, port: int) -> None:
    """Until SIGTERM or SIGINT. Raises Refused, Conflict, DatabaseTooNew."""
    settings = get_settings()
    load_keyring(settings)
    with try_runner_lock(settings.database_url) as alone:
        if not alone and settings.redis_url is None:
            raise Conflict(
                "Another crispsync is working on this SQLite file: stop it first, or use PostgreSQL "
                "for more than one process."
            )
        listening = _listen(host, port)
        prepare()
        told = prepare_login(settings, host)
        _tell_of_redis(settings)
        _serve_on(listening, settings, told)


def _serve_on(listening: socket.socket, settings: Settings, told: list[str]) -> None:
    import uvicorn

    configure_logs()
    # Named, not imported: app never imports workers.
    factory = "app.main:create" if settings.redis_url else "workers.embedded:create"
    config = uvicorn.Config(
        factory,
        factory=True,
        http=_protocol(),
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    server = uvicorn.Server(config)
    # Until it listens to signals itself: whoever has read the line below may stop it.
    signal.signal(signal.SIGTERM, server.handle_exit)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    click.echo("\n".join([f"crispsync serves http://{shown}:{port}", *told]))
    server.run(sockets=[listening])


def _protocol() -> Any:
    """Without httptools (Windows) uvicorn has limits on heads of its own."""
    if find_spec("httptools") is None:
        return "auto"
    from app.commands.heads import HeadsInTime

    return HeadsInTime


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise Conflict(
            f"Port {port} of {host} cannot be used: {error.strerror}. Choose another: --port, --host"
        ) from None
    listening.listen(128)
    return listening


def work() -> None:
    """Until SIGTERM or SIGINT, whatever Redis does. Raises Refused without REDIS_URL."""
    settings = get_settings()
    if settings.redis_url is None:
        raise Refused("REDIS_URL is not set: without Redis the jobs run inside crispsync serve.")
    load_keyring(settings)
    prepare()
    from arq.utils import import_string
    from redis.exceptions import RedisError

    run, work_without_redis = map(
        import_string, ("workers.main.run", "workers.main.work_without_redis")
    )
    _tell_of_redis(settings)
    # arq ends its worker when Redis goes; nothing is lost, so begin again, and work meanwhile.
    while True:
        try:
            run()
        except (RedisError, OSError) as error:
            click.echo(
                f"crispsync: Redis is away ({type(error).__name__}); work goes on without it.",
                err=True,
            )
            if not work_without_redis():
                return
        else:
            return


def check_working() -> str:
    """What works on this host, for a container's health check; the database is left as it is.

    Raises Failed when nothing does, DatabaseAway.
    """
    from sqlalchemy.exc import ProgrammingError

    from app.sync.processes import SILENT_AFTER_MS, working

    async def look() -> list[str]:
        db = open_database(get_settings().database_url)
        try:
            async with db.read() as connection:
                return [row.name for row in await working(connection)]
        except ProgrammingError:  # nobody has migrated it yet
            return []
        finally:
            await db.close()

    host = socket.gethostname()
    here = [name for name in run_loop(look) if name.rpartition(":")[0] == host]
    if not here:
        raise Failed(
            f"No process on {host} has told within {SILENT_AFTER_MS // 1000} s that it works."
        )
    return f"{', '.join(sorted(here))}: at work."


def _tell_of_redis(settings: Settings) -> None:
    """What is wrong with it goes on by itself, and still is for somebody to mend (FAILURES case 85)."""
    from app.doctor.bell import look_at_bell

    for one in asyncio.run(look_at_bell(settings)):
        click.echo(f"crispsync: {one.sentence} {one.evidence} {one.remedy}", err=True)
