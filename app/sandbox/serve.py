"""Putting a world on a port: ``run`` for a process of its own, ``serve`` inside a running loop."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.sandbox.quiet_server import QuietServer
    from app.sandbox.world import World


def run(
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 1,
    people: int = 300,
    conversations: int = 900,
    *,
    live: float = 0,
    hooks_to: str | None = None,
    **options: Any,
) -> None:
    """Serve a seeded world until SIGTERM or SIGINT; the first line of stdout is JSON.

    ``live``: changes per minute, made by time. ``hooks_to``: send a hook there for each change
    (until told otherwise by ``POST /sandbox/hooks``). ``options``: as of ``World`` (delay_ms, quota,
    changes_per_request, start_ms, …).
    """
    from app.sandbox.world import World

    world = World(seed, people, conversations, **options)
    # The collector need not walk through what stays for good.
    gc.freeze()
    sock = _listen(host, port)
    print(json.dumps(connection(world, _url(sock))), flush=True)  # noqa: T201 - its interface
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_stopped(world, sock, live, hooks_to))


def connection(world: World, url: str) -> dict[str, str]:
    """What a client needs to know to use the sandbox."""
    return {
        "url": f"{url}/v1",
        "identifier": world.identifier,
        "key": world.key,
        "plugin_id": world.plugin_id,
        "website_id": world.website_id,
        "signing_secret": world.signing_secret,
    }


@asynccontextmanager
async def serve(
    world: World,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    live: float = 0,
    hooks_to: str | None = None,
) -> AsyncIterator[str]:
    """Serve in the running loop; yields the base URL (``http://127.0.0.1:PORT/v1``).

    ``hooks_to``: as of ``run``; ``world.hooks`` is what sends them (``await world.hooks.flush()``).
    """
    sock = _listen(host, port)
    server = _server(world)
    tasks = [asyncio.create_task(server.serve(sockets=[sock]))]
    if live:
        tasks.append(asyncio.create_task(_keep_alive(world, live)))
    try:
        if hooks_to is not None:
            await _send_hooks(world, hooks_to)
        await server.ready.wait()
        yield f"{_url(sock)}/v1"
    finally:
        server.should_exit = True
        for task in tasks[1:]:
            task.cancel()
        await _stop_hooks(world)
        await asyncio.gather(*tasks, return_exceptions=True)
        sock.close()


async def _until_stopped(
    world: World, sock: socket.socket, live: float, hooks_to: str | None
) -> None:
    import signal

    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    if hooks_to is not None:
        await _send_hooks(world, hooks_to)
    server = _server(world)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    living = asyncio.create_task(_keep_alive(world, live)) if live else None
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    if living is not None:
        living.cancel()
    waiting.cancel()
    await _stop_hooks(world)
    await serving


async def _send_hooks(world: World, to: str) -> None:
    from app.sandbox.hooks import set_hooks

    await set_hooks(world, {"to": to})


async def _stop_hooks(world: World) -> None:
    # httpx is not imported for a world that never sent a hook.
    if world.hooks is not None:
        from app.sandbox.hooks import stop_hooks

        await stop_hooks(world)


async def _keep_alive(world: World, per_minute: float) -> None:
    """Let something happen ``per_minute`` times a minute, so that a demo does not stand still."""
    from app.sandbox.churn import make_changes

    while True:
        await asyncio.sleep(60 / per_minute)
        make_changes(world, 1)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay (40 ms an answer) off only on sockets that say they are TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    # From here on connections queue up, so the address may be told before the server runs.
    sock.listen(512)
    sock.setblocking(False)
    return sock


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(world: World) -> QuietServer:
    import uvicorn

    from app.sandbox.asgi import create_app
    from app.sandbox.quiet_server import QuietServer

    config = uvicorn.Config(
        create_app(world),
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    return QuietServer(config)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
