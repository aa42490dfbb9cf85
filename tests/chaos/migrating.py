"""A worker that dies in the middle of a migration, and what is in the database afterwards."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from statemachine.commands import Connect, Wait
from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.kafka.partitioner import partition_of
from streams.tenantdb.naming import MIGRATION_LOCK_SPACE, MIGRATIONS, lock_key
from tests.chaos.evidence import Migrated
from tests.chaos.stage import LOOK_INTERVAL_S, READY_S, Stage
from tests.chaos.tenants import entry_of
from tests.chaos.workers import Worker

SEEN_S: Final = 20.0
"""How long a migration may take to begin."""

LASTS_S: Final = 1.5
"""How long a migration goes on at least; it is interrupted at any moment of that."""

CONNECT_MS: Final = 40_000

# Every statement that makes something takes a while, and leaves a line that goes away with its transaction.
SLOW: Final = """
create schema chaos;
create table chaos.made (command text, object text);
create function chaos.note() returns event_trigger language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into chaos.made select command_tag, object_identity from pg_event_trigger_ddl_commands();
  perform pg_sleep(0.1);
end
$$;
create event trigger chaos on ddl_command_end execute function chaos.note();
"""

MIGRATING: Final = (
    "select count(*) from pg_stat_activity where datname = $1 and application_name = $2 and state = 'active'"
)
RECORDED: Final = "select version from realtime.schema_migrations order by version"
MADE: Final = (
    "select command || ' ' || object as made from chaos.made where command <> 'CREATE EVENT TRIGGER' order by 1"
)


async def killed_in_migration(stage: Stage) -> None:
    """Two tenants come for the first time; the worker of the second one is killed while it migrates."""
    peaceful, killed = [await _newcomer(stage, name) for name in ("m_peaceful", "m_killed")]
    assert (await stage.load.ask(peaceful, Connect(Wait.READY, CONNECT_MS), timeout_s=READY_S)).ok
    with stage.fault("worker killed in a migration", workers=True) as aim:
        asked = asyncio.create_task(stage.load.ask(killed, Connect(Wait.READY, CONNECT_MS), timeout_s=READY_S))
        await _migrating(stage, killed)
        await stage.pause(0, LASTS_S)
        worker = _owner(stage, killed)
        aim.at(worker)
        worker.kill()
        stage.evidence.interrupted[killed] = bool(await _sessions(stage, killed))
        worker.start()
        await stage.serving()
    await asked
    assert (await stage.load.ask(killed, Connect(Wait.READY, CONNECT_MS), timeout_s=READY_S)).ok
    for tenant in (peaceful, killed):
        stage.evidence.migrated[tenant] = await _left(stage, tenant)


async def _newcomer(stage: Stage, beginning: str) -> str:
    """A tenant whose database nobody has migrated, and that takes its time to be."""
    server = stage.place.server
    name = f"{beginning}_{stage.chance.getrandbits(32):x}"
    superuser = Superuser(server.host, server.port, server.user, server.password)
    database = await create_tenant_database(superuser, name)
    stage.evidence.secrets[f"the password of {name}"] = database["password"].encode()
    session = await server.superuser_connection(name)
    await session.execute(SLOW)
    await session.close()
    entry = entry_of(name, "off", {**database, "port": stage.place.database_port})
    await asyncio.to_thread(Catalog(stage.settings).put, validate(entry))
    stage.cast.newcomers.append(name)
    return name


async def _migrating(stage: Stage, tenant: str) -> None:
    async with asyncio.timeout(SEEN_S):
        while not await _sessions(stage, tenant):  # noqa: ASYNC110  a server tells nobody
            await asyncio.sleep(LOOK_INTERVAL_S / 5)


async def _sessions(stage: Stage, tenant: str) -> int:
    """How many sessions migrate."""
    return int(await _fetch(stage, "postgres", MIGRATING, tenant, MIGRATIONS))


def _owner(stage: Stage, tenant: str) -> Worker:
    number = partition_of(tenant, stage.settings.partitions)
    return next(worker for worker in stage.crew.workers if number in stage.crew.owned_by(worker))


async def _left(stage: Stage, tenant: str) -> Migrated:
    session = await stage.place.server.superuser_connection(tenant)
    try:
        versions = tuple([row["version"] for row in await session.fetch(RECORDED)])
        made = tuple([row["made"] for row in await session.fetch(MADE)])
        key = lock_key(MIGRATION_LOCK_SPACE, "")
        return Migrated(versions, made, await session.fetchval("select pg_try_advisory_lock($1)", key))
    finally:
        await session.close()


async def _fetch(stage: Stage, database: str, statement: str, *arguments: Any) -> Any:
    session = await stage.place.server.superuser_connection(database)
    try:
        return await session.fetchval(statement, *arguments)
    finally:
        session.terminate()
