-- Sends a JSON message. It never fails the transaction it is called in: what goes wrong is a warning.
-- Where the platform's migrations have brought the function to its last form (20260605120000), it stays as it is.
do $block$
begin
  if pg_catalog.to_regprocedure('realtime.send(jsonb, text, text, boolean)') is not null
     and exists (select from realtime.schema_migrations where version >= 20260605120000) then
    return;
  end if;
  execute $create$
    create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
    returns void
    language plpgsql
    as $function$
    declare
      message_id uuid := pg_catalog.gen_random_uuid();
      identified jsonb := payload;
    begin
      if pg_catalog.jsonb_typeof(payload) = 'object' and not payload ? 'id' then
        identified := payload || pg_catalog.jsonb_build_object('id', message_id);
      end if;
      perform pg_catalog.set_config('realtime.topic', topic, true);
      insert into realtime.messages (id, payload, event, topic, private, extension)
      values (message_id, identified, event, topic, private, 'broadcast');
    exception
      when others then
        raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
    end
    $function$
  $create$;
  alter function realtime.send(jsonb, text, text, boolean) owner to supabase_realtime_admin;
  grant execute on function realtime.send(jsonb, text, text, boolean) to anon, authenticated, service_role;
end
$block$;
