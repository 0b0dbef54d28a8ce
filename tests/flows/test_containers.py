"""docker-compose.yml and Dockerfile: read as Docker reads them, and what they start, started without it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from app.commands.server import GRACE_SECONDS
from tests.beside import until
from tests.fixtures.databases import postgres_database
from tests.fixtures.program import Program
from tests.fixtures.valkey import _program as valkey_server
from tests.fixtures.valkey import free_port

ROOT = Path(__file__).parents[2]
OURS = ("web", "worker")
# hub.docker.com/_/postgres, "Environment Variables".
POSTGRES_READS = {
    "POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_INITDB_ARGS",
    "POSTGRES_INITDB_WALDIR", "POSTGRES_HOST_AUTH_METHOD", "PGDATA",
}  # fmt: skip
# docs.docker.com/reference/compose-file/services/
OF_A_SERVICE = {
    "build", "command", "depends_on", "env_file", "environment", "healthcheck", "image", "init",
    "ports", "restart", "stop_grace_period", "volumes",
}  # fmt: skip
OF_A_CHECK = {"test", "interval", "timeout", "retries", "start_period"}
VARIABLE = re.compile(r"\$\{(\w+)(?::[?-][^}]*)?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return told


def test_docker_itself_takes_the_file(tmp_path: Path) -> None:
    """Where there is `docker compose`; the tests below look at the same without it."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=a-password\n")
    docker = shutil.which("docker") or "false"
    has_compose = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    if has_compose.returncode == 0:
        command = [docker, "compose", "--project-directory", str(tmp_path), "config", "--quiet"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_service_is_whole(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {*OURS, "postgres", "valkey"}
    for name, service in services.items():
        assert set(service) <= OF_A_SERVICE, name
        assert service["restart"] == "unless-stopped", name
        check = service["healthcheck"]
        assert {"test", "interval", "timeout", "retries"} <= set(check) <= OF_A_CHECK, name
        assert check["test"][0] == "CMD", name
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in compose["volumes"], name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "published to this machine only"
    for name in OURS:
        service = services[name]
        assert (service["image"], service["build"]) == ("crispsync", ".")
        assert int(service["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS + 5
        waits = {other: told["condition"] for other, told in service["depends_on"].items()}
        assert waits == {"postgres": "service_healthy", "valkey": "service_healthy"}


def test_addresses_and_variables_fit_together(compose: dict[str, Any]) -> None:
    services, example = compose["services"], (ROOT / ".env.example").read_text()
    named = set(VARIABLE.findall((ROOT / "docker-compose.yml").read_text()))
    assert named <= set(re.findall(r"^#? ?(\w+)=", example, re.MULTILINE))
    database, own = services["web"]["environment"], services["postgres"]["environment"]
    assert set(own) <= POSTGRES_READS
    url = urlsplit(VARIABLE.sub("secret", database["DATABASE_URL"]))
    assert (url.hostname, url.port or 5432) == ("postgres", 5432)
    assert (url.username, url.path) == (own["POSTGRES_USER"], f"/{own['POSTGRES_DB']}")
    assert urlsplit(database["REDIS_URL"]).hostname == "valkey"
    # From version 18 on, one folder above where it was (hub.docker.com/_/postgres, PGDATA).
    assert int(services["postgres"]["image"].partition(":")[2]) >= 18
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


def test_valkey_takes_its_options(compose: dict[str, Any], tmp_path: Path) -> None:
    name, *options = shlex.split(compose["services"]["valkey"]["command"])
    assert name == "valkey-server"
    port = free_port()
    beside = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    process = subprocess.Popen([valkey_server(), *options, *beside], stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port) as client:
            until(lambda: answers(client))
            assert client.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def empty_database_url() -> Iterator[str]:
    with postgres_database("template0") as url:
        yield url


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisAway:
        return False


def checked(program: Program, check: list[str], port: int, env: dict[str, str]) -> bool:
    """Whether the health check of a container would pass."""
    kind, name, *arguments = check
    assert kind == "CMD"
    arguments = [one.replace(":8000/", f":{port}/") for one in arguments]
    if name == "crispsync":
        return program.run(*arguments, env=env).code == 0
    assert name == "python"
    return (
        subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode
        == 0
    )


def test_its_processes_without_containers(
    compose: dict[str, Any], program: Program, empty_database_url: str, redis_url: str
) -> None:
    """The commands of the file, on a database that nobody has migrated; healthy, and no more when ended."""
    services, port = compose["services"], free_port()
    env = {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url}
    checks = {name: services[name]["healthcheck"]["test"] for name in OURS}
    assert not any(checked(program, check, port, env) for check in checks.values())
    started = []
    for name in OURS:
        first, *arguments = shlex.split(services[name]["command"])
        assert first == "crispsync"
        given = [str(port) if one == "8000" else one for one in arguments]
        started.append(program.start(*given, env=env))
    for check in checks.values():
        until(partial(checked, program, check, port, env))
    for running in started:
        running.stop()
        assert "Traceback" not in running.output
    assert not any(checked(program, check, port, env) for check in checks.values())


Stage = list[tuple[str, str]]


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """The instructions of each stage of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found: list[Stage] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, " ".join(rest.split())))
    return found


def test_the_image_is_locked_small_and_nobodys_root(stages: list[Stage]) -> None:
    build, image = stages
    name = build[0][1].removesuffix(" AS build")
    assert image[0] == ("FROM", name), "a program names the Python that it was installed for"
    syncs = [rest for word, rest in build if word == "RUN" and rest.startswith("uv sync")]
    assert syncs
    assert all("--locked" in sync and "--no-dev" in sync for sync in syncs)
    # What installs is not in it, and what runs is no root.
    assert not any("uv" in rest.split() or "pip" in rest.split() for _, rest in image)
    words = [word for word, _ in image]
    assert words.index("USER") > max(n for n, word in enumerate(words) if word in {"RUN", "COPY"})
    (user,) = (rest for word, rest in image if word == "USER")
    assert user not in {"root", "0"}


def copied(stage: Stage, folder: Path) -> Iterator[str]:
    """Do what the stage does before the end of the layer; its RUN instructions."""
    for word, rest in stage:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                whole, into = ROOT / source, folder / target
                if whole.is_dir():
                    shutil.copytree(whole, into, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(whole, into)
        elif word == "RUN" and rest.startswith("uv "):
            yield rest


def test_what_is_copied_is_all_that_it_needs(stages: list[Stage], tmp_path: Path) -> None:
    """The build stage without Docker: then it migrates a database and says what it can."""
    folder = tmp_path / "srv"
    folder.mkdir()
    uv = Path(sys.executable).with_name("uv")
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("UV_", "PATH", "HOME", "SSL_", "PIP_"))}  # fmt: skip
    env = {**kept, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    for run in copied(stages[0], folder):
        arguments = [one for one in run.split()[1:] if one != "--no-cache"]
        done = subprocess.run([uv, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
    crispsync = folder / ".venv/bin/crispsync"
    given = {"PATH": os.defpath, "DATABASE_URL": f"sqlite:///{tmp_path}/one.db"}
    began = time.monotonic()
    done = subprocess.run([crispsync, "migrate"], cwd=folder, env=given, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, (done.stderr, time.monotonic() - began)
    assert (tmp_path / "one.db").stat().st_size > 0
