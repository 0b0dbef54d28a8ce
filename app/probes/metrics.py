"""`/metrics`: figures for Prometheus, read from the database when they are asked for.

So every web process tells the same of the whole deployment, also of workers that nobody can reach;
its own are the requests, the pool, the loop's lag and the log's warnings. No ids of people, no addresses (SPEC P7).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.session import Database
from app.logs import WARNED
from app.probes.loop_lag import LoopLag
from app.probes.requests import RequestFigures
from app.settings import Settings
from app.sync.processes import working
from app.sync.runs import UNFINISHED
from app.sync.tables import sync_runs
from app.sync.usage import QuotaState, read_quota
from app.webhooks.health import percentile
from app.webhooks.hook_figures import Backlog, backlog_of_all, refusals
from app.webhooks.tables import hook_days
from app.websites.tables import websites

Samples = Iterable[tuple[Sequence[str], float]]


@dataclass(slots=True)
class Read:
    """What one scrape read of the database."""

    backlog: Backlog
    refused: dict[str, int]
    arrived: list[tuple[str, int, int, int]]
    delays: Counter[str]
    running: Counter[tuple[str, str]]
    synced: list[tuple[str, datetime]]
    audited: list[tuple[str, int, int]]
    statuses: dict[str, int]
    processes: int
    quota: QuotaState | None = None
    pool: dict[str, int] = field(default_factory=dict)


async def render(db: Database, settings: Settings, lag: LoopLag, requests: RequestFigures) -> bytes:
    """The text that Prometheus reads. Raises DatabaseAway."""
    async with db.read() as connection:
        found = await _read(connection)
    found.quota = await read_quota(db, settings)
    found.pool = _pool(db)
    registry = CollectorRegistry()
    own = [_requests(requests), *_process(found, lag)]
    registry.register(_Prepared([*_hooks(found), *_syncs(found), *own]))
    return generate_latest(registry)


class _Prepared(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


async def _read(connection: AsyncConnection) -> Read:
    h, r = hook_days.c, sync_runs.c
    today = clock.now().date().isoformat()
    days = (await connection.execute(select(hook_days).where(h.day == today))).all()
    arrived: dict[str, tuple[int, int, int]] = {}
    delays: Counter[str] = Counter()
    for day in days:
        one = arrived.get(day.event, (0, 0, 0))
        arrived[day.event] = (one[0] + day.arrived, one[1] + day.ignored, one[2] + day.dead)
        delays.update(day.delays)
    running = await connection.execute(
        select(r.kind, r.state, func.count().label("n"))
        .where(r.state.in_(UNFINISHED))
        .group_by(r.kind, r.state)
    )
    statuses = await connection.execute(
        select(websites.c.status, func.count().label("n")).group_by(websites.c.status)
    )
    return Read(
        backlog=await backlog_of_all(connection),
        refused={row.cause: row.refused for row in await refusals(connection)},
        arrived=[(event, *figures) for event, figures in sorted(arrived.items())],
        delays=delays,
        running=Counter({(row.kind, row.state): row.n for row in running}),
        synced=await _last_synced(connection),
        audited=await _last_audits(connection),
        statuses={row.status: int(row.n) for row in statuses},
        processes=len(await working(connection)),
    )


async def _last_synced(connection: AsyncConnection) -> list[tuple[str, datetime]]:
    r = sync_runs.c
    newest = func.max(r.finished_at, type_=r.finished_at.type).label("at")
    rows = await connection.execute(
        select(r.website_id, newest)
        .where(r.state.in_(("done", "partial")), r.kind.in_(("full", "incremental")))
        .group_by(r.website_id)
        .order_by(r.website_id)
    )
    return [(row.website_id, row.at) for row in rows]


async def _last_audits(connection: AsyncConnection) -> list[tuple[str, int, int]]:
    """(website, drifted, repaired) of the newest finished audit of each."""
    r = sync_runs.c
    nth = func.row_number().over(partition_by=r.website_id, order_by=r.finished_at.desc())
    newest = (
        select(r.website_id, r.counts, nth.label("nth"))
        .where(r.kind == "audit", r.state.in_(("done", "partial")))
        .subquery()
    )
    rows = await connection.execute(
        select(newest).where(newest.c.nth == 1).order_by(newest.c.website_id)
    )
    return [
        (row.website_id, int(row.counts.get("drifted", 0)), int(row.counts.get("repaired", 0)))
        for row in rows
    ]


def _pool(db: Database) -> dict[str, int]:
    pool: Any = db.engine.pool
    return {"in_use": pool.checkedout(), "idle": pool.checkedin()}


def _gauge(name: str, told: str, labels: Sequence[str], samples: Samples) -> Metric:
    gauge = GaugeMetricFamily(f"crispsync_{name}", told, labels=list(labels))
    for values, number in samples:
        gauge.add_metric(list(values), number)
    return gauge


def _counter(name: str, told: str, labels: Sequence[str], samples: Samples) -> Metric:
    """Named `name` and `_total`."""
    counter = CounterMetricFamily(f"crispsync_{name}", told, labels=list(labels))
    for values, number in samples:
        counter.add_metric(list(values), number)
    return counter


def _hooks(found: Read) -> Iterator[Metric]:
    b = found.backlog
    results = ("arrived", "ignored", "dead")
    yield _gauge(
        "hooks_today",
        "Web hooks taken since 00:00 UTC, by event",
        ("event", "result"),
        (
            ((event, result), number)
            for event, *numbers in found.arrived
            for result, number in zip(results, numbers, strict=True)
        ),
    )
    shares = ((0.5, percentile(found.delays, 0.5)), (0.95, percentile(found.delays, 0.95)))
    yield _gauge(
        "hook_delay_seconds",
        "From received to applied, today",
        ("quantile",),
        (((str(share),), delay / 1000) for share, delay in shares if delay is not None),
    )
    waits = {"waiting": b.waiting, "parked": b.parked, "dead": b.dead}
    yield _gauge(
        "hooks",
        "Web hooks that are not dealt with (counted up to 10,000)",
        ("state",),
        (((state,), number) for state, number in waits.items()),
    )
    lag = (clock.now() - b.oldest_waiting_at).total_seconds() if b.oldest_waiting_at else 0.0
    yield _gauge("hook_lag_seconds", "Age of the oldest hook that waits", (), [((), max(0.0, lag))])
    yield _counter(
        "hooks_refused",
        "Deliveries refused, by cause, since the beginning",
        ("cause",),
        (((cause,), number) for cause, number in sorted(found.refused.items())),
    )


def _syncs(found: Read) -> Iterator[Metric]:
    yield _gauge(
        "runs",
        "Unfinished runs",
        ("kind", "state"),
        ((key, number) for key, number in sorted(found.running.items())),
    )
    now = clock.now()
    yield _gauge(
        "sync_age_seconds",
        "Since the last finished full or incremental sync",
        ("website",),
        (((own,), (now - at).total_seconds()) for own, at in found.synced),
    )
    for name, which in (("audit_drifted", 1), ("audit_repaired", 2)):
        yield _gauge(
            name,
            "Of the last finished audit",
            ("website",),
            (((row[0],), float(row[which])) for row in found.audited),
        )
    yield _gauge(
        "websites",
        "Websites by status",
        ("status",),
        (((status,), number) for status, number in sorted(found.statuses.items())),
    )
    if found.quota is not None:
        quota = found.quota
        yield _gauge("quota_used", "Requests to Crisp today", (), [((), quota.used)])
        yield _gauge("quota_limit", "Requests that Crisp allows a day", (), [((), quota.limit)])
        paused = 1 if quota.paused_until is not None else 0
        yield _gauge("quota_paused", "Whether Crisp asked to wait", (), [((), paused)])


def _requests(figures: RequestFigures) -> Metric:
    summary = SummaryMetricFamily(
        "crispsync_request_seconds",
        "Requests that this process answered, and how long it took",
        labels=["method", "route", "status"],
    )
    for key, answered in sorted(figures.answered.items()):
        summary.add_metric(list(key), answered.count, answered.seconds)
    return summary


def _process(found: Read, lag: LoopLag) -> Iterator[Metric]:
    yield _gauge("processes", "Processes that work on jobs", (), [((), found.processes)])
    yield _gauge(
        "pool_connections",
        "Database connections of this process",
        ("state",),
        (((state,), number) for state, number in sorted(found.pool.items())),
    )
    yield _gauge("loop_lag_seconds", "Worst of the last minute", (), [((), lag.worst)])
    yield _counter(
        "warnings",
        "Warnings and errors logged by this process",
        ("event", "error"),
        ((key, number) for key, number in sorted(WARNED.items())),
    )
