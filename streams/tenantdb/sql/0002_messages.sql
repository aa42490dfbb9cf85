-- The messages, partitioned by day. Times are UTC without a zone, whatever the session's time zone is: so is the day
-- that a partition stands for.
do $block$
begin
  if pg_catalog.to_regclass('realtime.messages') is not null then
    return;
  end if;
  create table realtime.messages (
    topic text not null,
    extension text not null,
    payload jsonb,
    event text,
    private boolean default false,
    updated_at timestamp without time zone not null default pg_catalog.timezone('utc', pg_catalog.now()),
    inserted_at timestamp without time zone not null default pg_catalog.timezone('utc', pg_catalog.now()),
    id uuid not null default pg_catalog.gen_random_uuid(),
    binary_payload bytea,
    primary key (id, inserted_at)
  ) partition by range (inserted_at);
end
$block$;

-- A table that was there before has to be one that this service can work with. Everything is looked at before it is
-- changed: a change that changes nothing would still lock out all writers.
do $block$
declare
  messages constant pg_catalog.regclass := 'realtime.messages';
  client text;
begin
  if not exists (select from pg_catalog.pg_partitioned_table where partrelid = messages and partstrat = 'r')
     or not exists (select
                      from pg_catalog.pg_attribute
                     where attrelid = messages and attname = 'id' and not attisdropped
                       and atttypid = 'uuid'::pg_catalog.regtype) then
    raise exception 'realtime.messages exists in a form that is too old: it has to be partitioned by range of inserted_at, with an id of type uuid'
      using errcode = 'feature_not_supported',
            hint = 'Run the migrations of the service that made it, at least through 20241108114728; then connect again.';
  end if;
  if not exists (select
                   from pg_catalog.pg_attribute
                  where attrelid = messages and attname = 'binary_payload' and not attisdropped) then
    alter table realtime.messages add column binary_payload bytea;
  end if;
  if not exists (select
                   from pg_catalog.pg_constraint
                  where conrelid = messages and conname = 'messages_payload_exclusive') then
    -- Not valid: rows that are there are not read. They had one payload column only.
    alter table realtime.messages
      add constraint messages_payload_exclusive check (payload is null or binary_payload is null) not valid;
  end if;
  if not exists (select
                   from pg_catalog.pg_index
                  where indrelid = messages and indpred is not null
                    and pg_catalog.pg_get_indexdef(indexrelid) like '%(inserted_at DESC, topic)%') then
    create index messages_inserted_at_topic_index on realtime.messages (inserted_at desc, topic)
      where extension = 'broadcast' and private is true;
  end if;
  if not (select relrowsecurity from pg_catalog.pg_class where oid = messages) then
    alter table realtime.messages enable row level security;
  end if;
  for client in
    select rolname
      from pg_catalog.pg_roles
     where rolname in ('postgres', 'anon', 'authenticated', 'service_role')
       and not (pg_catalog.has_table_privilege(oid, messages, 'select')
                and pg_catalog.has_table_privilege(oid, messages, 'insert')
                and pg_catalog.has_table_privilege(oid, messages, 'update'))
  loop
    execute pg_catalog.format('grant select, insert, update on realtime.messages to %I', client);
  end loop;
  if (select relowner from pg_catalog.pg_class where oid = messages)
     <> 'supabase_realtime_admin'::pg_catalog.regrole then
    alter table realtime.messages owner to supabase_realtime_admin;
  end if;
end
$block$;
