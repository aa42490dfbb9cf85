-- The topic that the current transaction sends to, for use in policies; null outside of one.
-- Where the platform's migrations have brought the function to its last form (20260605120000), it stays as it is.
do $block$
begin
  if pg_catalog.to_regprocedure('realtime.topic()') is not null
     and exists (select from realtime.schema_migrations where version >= 20260605120000) then
    return;
  end if;
  execute $create$
    create or replace function realtime.topic() returns text
    language sql stable
    as $function$
      select nullif(pg_catalog.current_setting('realtime.topic', true), '')
    $function$
  $create$;
  alter function realtime.topic() owner to supabase_realtime_admin;
  grant execute on function realtime.topic() to anon, authenticated, service_role;
end
$block$;
