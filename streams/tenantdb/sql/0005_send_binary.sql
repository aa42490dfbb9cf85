-- Sends a message of bytes; see realtime.send.
-- Where the platform's migrations have brought the function to its last form (20260605120000), it stays as it is.
do $block$
begin
  if pg_catalog.to_regprocedure('realtime.send_binary(bytea, text, text, boolean)') is not null
     and exists (select from realtime.schema_migrations where version >= 20260605120000) then
    return;
  end if;
  execute $create$
    create or replace function realtime.send_binary(payload bytea, event text, topic text, private boolean default true)
    returns void
    language plpgsql
    as $function$
    begin
      perform pg_catalog.set_config('realtime.topic', topic, true);
      insert into realtime.messages (binary_payload, event, topic, private, extension)
      values (payload, event, topic, private, 'broadcast');
    exception
      when others then
        raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
    end
    $function$
  $create$;
  alter function realtime.send_binary(bytea, text, text, boolean) owner to supabase_realtime_admin;
  grant execute on function realtime.send_binary(bytea, text, text, boolean) to anon, authenticated, service_role;
end
$block$;
