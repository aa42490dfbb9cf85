"""A stand-in for a database that the platform's own migrations brought to their last form."""

from __future__ import annotations

from typing import Any

LAST_FORM_VERSION = 20260605120000

VERSIONS = (
    20211116024918,
    20211116045059,
    20211116050929,
    20211116051442,
    20211116212300,
    20211116213355,
    20211116213934,
    20211116214523,
    20211122062447,
    20211124070109,
    20211202204204,
    20211202204605,
    20211210212804,
    20211228014915,
    20220107221237,
    20220228202821,
    20220312004840,
    20220603231003,
    20220603232444,
    20220615214548,
    20220712093339,
    20220908172859,
    20220916233421,
    20230119133233,
    20230128025114,
    20230128025212,
    20230227211149,
    20230228184745,
    20230308225145,
    20230328144023,
    20231018144023,
    20231204144023,
    20231204144024,
    20231204144025,
    20240108234812,
    20240109165339,
    20240227174441,
    20240311171622,
    20240321100241,
    20240401105812,
    20240418121054,
    20240523004032,
    20240618124746,
    20240801235015,
    20240805133720,
    20240827160934,
    20240919163303,
    20240919163305,
    20241019105805,
    20241030150047,
    20241108114728,
    20241121104152,
    20241130184212,
    20241220035512,
    20241220123912,
    20241224161212,
    20250107150512,
    20250110162412,
    20250123174212,
    20250128220012,
    20250506224012,
    20250523164012,
    20250714121412,
    20250905041441,
    20251103001201,
    20251120212548,
    20251120215549,
    20260218120000,
    20260326120000,
    20260514120000,
    20260527120000,
    20260528120000,
    20260603120000,
    20260605120000,
    20260606110000,
    20260616120000,
    20260624120000,
    20260626120000,
    20260706120000,
    20260707120000,
    20260709120000,
)

ROLES = {
    "anon": "nologin noinherit",
    "authenticated": "nologin noinherit",
    "service_role": "nologin noinherit bypassrls",
    "supabase_realtime_admin": "nologin noinherit",
}

MESSAGES = """
create table realtime.messages (
  topic text not null, extension text not null, payload jsonb, event text, private boolean default false,
  updated_at timestamp not null default now(), inserted_at timestamp not null default now(),
  id uuid not null default gen_random_uuid(), {last_columns}
  primary key (id, inserted_at)
) partition by range (inserted_at);
alter table realtime.messages owner to supabase_realtime_admin;
"""

LAST_FORM = """
alter table realtime.messages add constraint messages_payload_exclusive
  check (payload is null or binary_payload is null) not valid;
create index messages_made_by_the_platform on realtime.messages using btree (inserted_at desc, topic)
  where extension = 'broadcast' and private is true;
alter table realtime.messages enable row level security;
create function realtime.topic() returns text language sql stable as $$ select 'theirs' $$;
create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
  returns void language plpgsql as $$ begin raise warning 'theirs'; end $$;
create function realtime.send_binary(payload bytea, event text, topic text, private boolean default true)
  returns void language plpgsql as $$ begin raise warning 'theirs'; end $$;
create function realtime.broadcast_changes(
  topic_name text, event_name text, operation text, table_name text, table_schema text,
  new record, old record, level text default 'ROW'
) returns void language plpgsql as $$ begin raise warning 'theirs'; end $$;
"""


async def build(superuser: Any, *, through: int = VERSIONS[-1]) -> None:
    """Bring the database to the form it had after the platform's migration `through`, as far as messages go."""
    for role, options in ROLES.items():
        if not await superuser.fetchval("select true from pg_roles where rolname = $1", role):
            await superuser.execute(f"create role {role} {options}")
    await superuser.execute("create schema realtime")
    await superuser.execute(
        "create table realtime.schema_migrations (version bigint primary key, inserted_at timestamp(0))"
    )
    await superuser.executemany(
        "insert into realtime.schema_migrations values ($1, now())",
        [(version,) for version in VERSIONS if version <= through],
    )
    last = through >= LAST_FORM_VERSION
    await superuser.execute(MESSAGES.format(last_columns="binary_payload bytea," if last else ""))
    if last:
        await superuser.execute(LAST_FORM)


async def shape(superuser: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Everything of the schema that a migration could change, in a form that compares."""
    rows = {
        "columns": await superuser.fetch(
            "select attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) "
            "from pg_attribute left join pg_attrdef on (adrelid, adnum) = (attrelid, attnum) "
            "where attrelid = 'realtime.messages'::regclass and attnum > 0 order by attnum"
        ),
        "constraints": await superuser.fetch(
            "select oid::bigint, conname, pg_get_constraintdef(oid) from pg_constraint "
            "where conrelid = 'realtime.messages'::regclass order by conname"
        ),
        "indexes": await superuser.fetch(
            "select indexrelid::bigint, pg_get_indexdef(indexrelid) from pg_index "
            "where indrelid = 'realtime.messages'::regclass order by 1"
        ),
        "functions": await superuser.fetch(
            "select oid::bigint, xmin::text::bigint, proname, prosrc, proowner::regrole::text from pg_proc "
            "where pronamespace = 'realtime'::regnamespace order by proname, oid"
        ),
        "table": await superuser.fetch(
            "select oid::bigint, relowner::regrole::text, relrowsecurity from pg_class "
            "where oid = 'realtime.messages'::regclass"
        ),
    }
    return {part: [tuple(row) for row in found] for part, found in rows.items()}
