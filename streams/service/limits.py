"""The settings as the parts of a worker want them."""

from __future__ import annotations

from datetime import timedelta

from statemachine.terms import Terms
from streams.effects.bounds import Bounds
from streams.effects.housekeeping import Schedule
from streams.engine.app import Shape
from streams.engine.credentials import credentials_of
from streams.replication.order import StreamLimits
from streams.settings import Settings
from streams.tenantdb.session import SessionLimits
from streams.topics import Topics


def milliseconds(number: int) -> timedelta:
    """So many milliseconds."""
    return timedelta(milliseconds=number)


def terms_of(settings: Settings) -> Terms:
    """What holds for every decision, before anything is known of a tenant."""
    return Terms(
        serving_region=settings.region,
        database_recovery_window=milliseconds(settings.database_recovery_window_ms),
        replication_recovery_window=milliseconds(settings.replication_recovery_window_ms),
        replication_delay_min=milliseconds(settings.replication_backoff_min_ms),
        replication_delay_max=milliseconds(settings.replication_backoff_max_ms),
        idle_window=milliseconds(settings.idle_window_ms),
        idle_grace=milliseconds(settings.idle_grace_ms),
        failures_max=settings.connect_failures_max,
        failures_window=milliseconds(settings.connect_failures_window_ms),
    )


def session_limits(settings: Settings) -> SessionLimits:
    """Bounds of sessions with tenants' databases."""
    return SessionLimits(
        connect_ms=settings.database_connect_timeout_ms,
        statement_ms=settings.database_statement_timeout_ms,
        migration_statement_ms=settings.migrations_timeout_ms,
        close_ms=settings.database_close_timeout_ms,
    )


def effect_bounds(settings: Settings) -> Bounds:
    """Places for work against tenants' databases."""
    return Bounds(settings.effects_per_worker_max, settings.effects_per_server_max)


def stream_limits(settings: Settings) -> StreamLimits:
    """Bounds of streams."""
    return StreamLimits(
        session=session_limits(settings),
        setup_ms=settings.replication_setup_timeout_ms,
        watchdog_interval_ms=settings.replication_watchdog_interval_ms,
        watchdog_timeout_ms=settings.replication_watchdog_timeout_ms,
        position_interval_ms=settings.replication_position_interval_ms,
        retention_ms=settings.messages_retention_ms,
    )


def schedule_of(settings: Settings) -> Schedule:
    """When tenants' messages are looked after."""
    return Schedule(
        interval=milliseconds(settings.housekeeping_interval_ms),
        jitter_max=milliseconds(settings.housekeeping_jitter_max_ms),
        retry=milliseconds(settings.partitions_retry_ms),
        tenants_max=settings.housekeeping_tenants_max,
        retention=milliseconds(settings.messages_retention_ms),
    )


def shape_of(settings: Settings) -> Shape:
    """What the engine is told of its surroundings."""
    topics = Topics(settings)
    return Shape(
        group=f"{settings.topic_prefix}.{settings.region}",
        brokers=settings.kafka.split(","),
        credentials=credentials_of(settings),
        events=topics.events,
        region_commands=topics.region_commands,
        commands=topics.commands,
        partitions=settings.partitions,
        session_timeout_s=settings.session_timeout_ms / 1000,
        heartbeat_interval_s=settings.heartbeat_interval_ms / 1000,
        runs_in_flight_max=settings.runs_in_flight_max,
        standbys=settings.standbys,
        data_dir=settings.data_dir / "faust" / settings.worker_name,
    )
