-- The roles that messages are written, read and owned by. Roles belong to the whole server: each is made where it is
-- missing, and left as it is where it is not.
do $block$
declare
  wanted record;
begin
  for wanted in
    select *
      from (values ('anon', 'nologin noinherit'),
                   ('authenticated', 'nologin noinherit'),
                   ('service_role', 'nologin noinherit bypassrls'),
                   ('supabase_realtime_admin', 'nologin noinherit')) as role (name, options)
  loop
    continue when exists (select from pg_catalog.pg_roles where rolname = wanted.name);
    begin
      execute pg_catalog.format('create role %I %s', wanted.name, wanted.options);
    exception
      when duplicate_object or unique_violation then
        null;  -- a runner on another database of this server was first
      when insufficient_privilege then
        raise exception 'role % is missing, and % may not create it', wanted.name, current_user
          using errcode = 'insufficient_privilege',
                hint = pg_catalog.format('Run as a superuser: create role %I %s', wanted.name, wanted.options);
    end;
  end loop;
end
$block$;

-- Who migrates has to be able to give objects away to their owner.
do $block$
begin
  if not pg_catalog.pg_has_role(current_user, 'supabase_realtime_admin', 'usage') then
    execute pg_catalog.format('grant supabase_realtime_admin to %I', current_user);
  end if;
exception
  when unique_violation then
    null;  -- a runner on another database of this server was first
  when insufficient_privilege then
    raise exception '% is no member of supabase_realtime_admin, and may not become one', current_user
      using errcode = 'insufficient_privilege',
            hint = pg_catalog.format('Run as a superuser: grant supabase_realtime_admin to %I', current_user);
end
$block$;

-- On a new database the customary administrator may write policies for the messages. Where they exist already, whether
-- it may was decided there.
do $block$
begin
  if pg_catalog.to_regclass('realtime.messages') is null
     and exists (select from pg_catalog.pg_roles where rolname = 'postgres' and not rolsuper)
     and not pg_catalog.pg_has_role('postgres', 'supabase_realtime_admin', 'member') then
    grant supabase_realtime_admin to postgres;
  end if;
exception
  when unique_violation then
    null;
  when insufficient_privilege then
    raise notice 'postgres is no member of supabase_realtime_admin: %', sqlerrm;
end
$block$;

do $block$
declare
  client text;
begin
  for client in
    select rolname
      from pg_catalog.pg_roles
     where rolname in ('postgres', 'anon', 'authenticated', 'service_role', 'supabase_realtime_admin')
       and not pg_catalog.has_schema_privilege(oid, 'realtime', 'usage')
  loop
    execute pg_catalog.format('grant usage on schema realtime to %I', client);
  end loop;
  if not pg_catalog.has_schema_privilege('supabase_realtime_admin', 'realtime', 'create') then
    grant create on schema realtime to supabase_realtime_admin;
  end if;
  for client in
    select rolname
      from pg_catalog.pg_roles
     where rolname in ('anon', 'authenticated', 'service_role')
       and pg_catalog.has_table_privilege(oid, 'realtime.schema_migrations', 'select, insert, update, delete')
  loop
    execute pg_catalog.format('revoke all on realtime.schema_migrations from %I', client);
  end loop;
end
$block$;
