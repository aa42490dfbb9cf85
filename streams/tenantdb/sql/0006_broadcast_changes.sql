-- Sends a changed row to a private topic; called by trigger functions.
-- Where the platform's migrations have brought the function to its last form (20260605120000), it stays as it is.
do $block$
begin
  if pg_catalog.to_regprocedure('realtime.broadcast_changes(text, text, text, text, text, record, record, text)') is not null
     and exists (select from realtime.schema_migrations where version >= 20260605120000) then
    return;
  end if;
  execute $create$
    create or replace function realtime.broadcast_changes(
      topic_name text, event_name text, operation text, table_name text, table_schema text,
      new record, old record, level text default 'ROW'
    ) returns void
    language plpgsql
    as $function$
    begin
      if level <> 'ROW' then
        raise exception 'broadcast_changes is for triggers that fire for each row, not for each %', lower(level);
      end if;
      if operation not in ('INSERT', 'UPDATE', 'DELETE') then
        raise exception 'broadcast_changes is for INSERT, UPDATE and DELETE, not for %', operation;
      end if;
      perform realtime.send(
        pg_catalog.jsonb_build_object(
          'old_record', old, 'record', new, 'operation', operation, 'table', table_name, 'schema', table_schema
        ),
        event_name,
        topic_name
      );
    end
    $function$
  $create$;
  alter function realtime.broadcast_changes(text, text, text, text, text, record, record, text) owner to supabase_realtime_admin;
  grant execute on function realtime.broadcast_changes(text, text, text, text, text, record, record, text) to anon, authenticated, service_role;
end
$block$;
