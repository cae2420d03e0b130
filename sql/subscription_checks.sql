-- What can be a subscription: one function a paragraph of docs/subscriptions.md, all of them called by one trigger, whoever writes.
-- Constraints could say the same of single columns, but their errors quote the row, and with it the secrets.

create or replace function walhook.refuse(setting text, rule text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '% %', setting, rule using errcode = 'invalid_parameter_value', column = setting;
end
$$;
comment on function walhook.refuse(text, text) is 'Raises invalid_parameter_value for one field.';

create or replace function walhook.check_wish(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if s.url is null or not walhook.is_endpoint_url(s.url) then
    perform walhook.refuse('url', 'has to be an http or https URL of at most 2048 characters');
  end if;
  if s.event_types is null or not walhook.are_event_type_patterns(s.event_types) then
    perform walhook.refuse('event_types', 'has to be 1 to 100 patterns like order.created, order.* or *');
  end if;
  if not walhook.is_filter_predicate(s.filter) then
    perform walhook.refuse('filter', 'has to be a predicate like $.amount > 100, not a path that selects something');
  end if;
  if length(s.tenant) not between 1 and 255 then
    perform walhook.refuse('tenant', 'has to be 1 to 255 characters');
  end if;
end
$$;
comment on function walhook.check_wish(walhook.subscriptions) is 'Refuses what cannot be an endpoint or a wish for events.';

create or replace function walhook.check_name(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if s.name is null then return; end if;
  if length(s.name) not between 1 and 100 or s.name <> btrim(s.name) or s.name ~ '[\x01-\x1f\x7f]' then
    perform walhook.refuse('name', 'has to be 1 to 100 characters, with no control characters and no space at its ends');
  end if;
  if s.name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    perform walhook.refuse('name', 'has to be told apart from an id');
  end if;
  -- The index is what holds; this says it in a sentence.
  if exists (
    select
    from walhook.subscriptions as o
    where o.name = s.name and coalesce(o.tenant, '') = coalesce(s.tenant, '') and o.id <> s.id
  ) then
    raise exception 'name is taken by another subscription of this tenant' using errcode = 'unique_violation', column = 'name';
  end if;
end
$$;
comment on function walhook.check_name(walhook.subscriptions) is 'Refuses what cannot be a name, and one that is taken.';

create or replace function walhook.check_secrets(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  rule constant text := case when 'standard' = any (s.signature)
    then 'has to be whsec_ and the base64 of 24 to 64 bytes'
    else 'has to be 16 to 255 characters, with no control characters and no space at its ends'
  end;
begin
  if not walhook.can_sign(s.secret, s.signature) then
    perform walhook.refuse('secret', rule);
  end if;
  if s.previous_secret is not null and not walhook.can_sign(s.previous_secret, s.signature) then
    perform walhook.refuse('previous_secret', rule);
  end if;
  if not (walhook.is_ed25519_key(s.ed25519_key) or walhook.is_sealed(s.ed25519_key)) then
    perform walhook.refuse('ed25519_key', 'has to be whsk_ and the base64 of 32 or 64 bytes');
  end if;
end
$$;
comment on function walhook.check_secrets(walhook.subscriptions) is 'Refuses what cannot be a signing secret.';

create or replace function walhook.check_retries(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not coalesce(walhook.duration_ms(s.timeout) between 100 and 30000, false) then
    perform walhook.refuse('timeout', 'has to be a duration from 100ms to 30s');
  end if;
  if s.retry_schedule is null or not walhook.is_retry_schedule(s.retry_schedule) then
    perform walhook.refuse('retry_schedule', 'has to be at most 100 durations like 5s, 10m, 2h or 5d, none longer than 30d');
  end if;
  if s.retry_on is null or s.retry_on not in ('any', 'transient') then
    perform walhook.refuse('retry_on', 'has to be any or transient');
  end if;
end
$$;
comment on function walhook.check_retries(walhook.subscriptions) is 'Refuses what cannot be patience.';

create or replace function walhook.check_request(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  own_names constant text[] := walhook.own_header_names(s);
  header record;
  reason text;
begin
  if s.method is null or s.method not in ('POST', 'PUT') then
    perform walhook.refuse('method', 'has to be POST or PUT');
  end if;
  if s.body is null or s.body not in ('envelope', 'payload', 'cloudevents', 'cloudevents-binary', 'cloudevents-batch') then
    perform walhook.refuse('body', 'has to be envelope, payload, cloudevents, cloudevents-binary or cloudevents-batch');
  end if;
  if s.body = 'cloudevents-binary' and s.batch is not null then
    perform walhook.refuse('batch', 'cannot be with body cloudevents-binary, whose attributes are headers of one event: choose cloudevents-batch');
  end if;
  if s.header_prefix !~ '^[A-Za-z][A-Za-z0-9-]{0,38}-$' then
    perform walhook.refuse('header_prefix', 'has to be letters, digits and hyphens that end with a hyphen, like X-Acme-, at most 40');
  end if;
  if s.body = 'cloudevents-binary' and lower(s.header_prefix) = 'ce-' then
    perform walhook.refuse('header_prefix', 'cannot be ce- with body cloudevents-binary, whose attributes have those names');
  end if;
  if s.headers is null or jsonb_typeof(s.headers) <> 'object' then
    perform walhook.refuse('headers', 'has to be an object of texts like {"x-team":"billing"}');
  end if;
  if s.forward_headers is null or array_position(s.forward_headers, null) is not null then
    perform walhook.refuse('forward_headers', 'has to be a list of names');
  end if;
  for header in
    select 'headers' as setting, h.key as name, h.value from jsonb_each(s.headers) as h
    union all
    select 'forward_headers', f.name, null from unnest(s.forward_headers) as f (name)
  loop
    if not walhook.is_header_name(header.name) then
      perform walhook.refuse(header.setting, 'has a name that is none: letters, digits and hyphens, at most 128');
    end if;
    reason := coalesce(
      walhook.reserved_header(header.name),
      case
        when lower(header.name) = any (own_names) then 'one of Walhook''s own headers has that name here'
        when starts_with(lower(header.name), lower(s.header_prefix)) then 'names that begin with header_prefix are Walhook''s own'
        when s.body = 'cloudevents-binary' and lower(header.name) like 'ce-%' then 'names that begin so are CloudEvents attributes'
        when header.setting = 'forward_headers' and lower(header.name) = 'user-agent' then 'an event does not choose it'
      end
    );
    if reason is not null then
      perform walhook.refuse(header.setting, format('cannot have %s: %s', header.name, reason));
    end if;
    if header.setting = 'headers'
      and (jsonb_typeof(header.value) <> 'string' or not walhook.is_header_value(header.value #>> '{}'))
    then
      perform walhook.refuse('headers', format('needs for %s a text of printable ASCII characters, with no space at its ends', header.name));
    end if;
  end loop;
  if (select count(*) > count(distinct lower(name)) from jsonb_object_keys(s.headers) as name) then
    perform walhook.refuse('headers', 'has a name twice, once in capitals and once not');
  end if;
  if (select count(*) > count(distinct lower(name)) from unnest(s.forward_headers) as name) then
    perform walhook.refuse('forward_headers', 'has a name twice');
  end if;
  if (select count(*) > 50 or sum(length(key) + length(value) + 4) > 8192 from jsonb_each_text(s.headers)) then
    perform walhook.refuse('headers', 'has to be at most 50 headers, and 8 KiB with their names');
  end if;
  if cardinality(s.forward_headers) > 50 then
    perform walhook.refuse('forward_headers', 'has to be at most 50 names');
  end if;
end
$$;
comment on function walhook.check_request(walhook.subscriptions) is 'Refuses what cannot be a request''s method, body or headers.';

create or replace function walhook.check_signature(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  own_names constant text[] := walhook.own_header_names(s);
  reason text;
begin
  if s.signature is null or cardinality(s.signature) = 0
    or not s.signature <@ '{standard,standard-ed25519,github,stripe,hex,none}'
  then
    perform walhook.refuse('signature', 'has to be one or more of standard, standard-ed25519, github, stripe and hex, or none');
  end if;
  if 'none' = any (s.signature) and cardinality(s.signature) > 1 then
    perform walhook.refuse('signature', 'cannot have none beside others');
  end if;
  if cardinality(s.signature) > (select count(distinct scheme) from unnest(s.signature) as scheme) then
    perform walhook.refuse('signature', 'has one of them twice');
  end if;
  if s.signature_header is not null then
    if not 'hex' = any (s.signature) then
      perform walhook.refuse('signature_header', 'is for signature hex, which is not among these');
    end if;
    if not walhook.is_header_name(s.signature_header) then
      perform walhook.refuse('signature_header', 'has to be letters, digits and hyphens, at most 128');
    end if;
    reason := coalesce(
      walhook.reserved_header(s.signature_header),
      case
        when lower(s.signature_header) = 'user-agent' then 'it says who sends'
        when cardinality(array_positions(own_names, lower(s.signature_header))) > 1
          then 'another of Walhook''s own headers has that name here'
        when s.body = 'cloudevents-binary' and lower(s.signature_header) like 'ce-%'
          then 'names that begin so are CloudEvents attributes'
      end
    );
    if reason is not null then
      perform walhook.refuse('signature_header', format('cannot be %s: %s', s.signature_header, reason));
    end if;
  end if;
  if cardinality(own_names) > (select count(distinct name) from unnest(own_names) as name) then
    perform walhook.refuse('header_prefix', 'gives a header the name of a signature''s: choose another prefix, or a signature_header');
  end if;
end
$$;
comment on function walhook.check_signature(walhook.subscriptions) is 'Refuses what cannot be a way of signing.';

create or replace function walhook.check_access(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  largest constant integer := 65536;
  rule text;
begin
  if s.handshake is null then
    perform walhook.refuse('handshake', 'has to be true or false');
  end if;
  -- What is sealed was looked at before, and is longer by what base64 takes.
  if octet_length(s.auth) > (case when walhook.is_sealed(s.auth) then 2 else 1 end) * largest then
    perform walhook.refuse('auth', 'has to be at most 64 KiB');
  end if;
  if octet_length(s.tls) > (case when walhook.is_sealed(s.tls) then 2 else 1 end) * largest then
    perform walhook.refuse('tls', 'has to be at most 64 KiB');
  end if;
  if not walhook.is_sealed(s.auth) then
    rule := walhook.credentials_rule(s.auth);
    if rule is not null then perform walhook.refuse('auth', rule); end if;
  end if;
  if not walhook.is_sealed(s.tls) then
    rule := walhook.certificates_rule(s.tls);
    if rule is not null then perform walhook.refuse('tls', rule); end if;
  end if;
  if s.tls is not null and s.url !~* '^https:' then
    perform walhook.refuse('tls', 'has to go with an https URL');
  end if;
end
$$;
comment on function walhook.check_access(walhook.subscriptions) is 'Refuses what cannot be credentials, certificates or a handshake.';

create or replace function walhook.check_batch(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if s.batch is null then return; end if;
  if jsonb_typeof(s.batch) <> 'object' then
    perform walhook.refuse('batch', 'has to be an object like {"max_events":100,"max_wait":"5s"}');
  end if;
  if s.batch - array['max_events', 'max_wait'] <> '{}' then
    perform walhook.refuse('batch', 'has to be an object of max_events, max_wait or both, and nothing else');
  end if;
  -- Also refuses null, which is not a way to ask for the default.
  if s.batch ? 'max_events' and (
    jsonb_typeof(s.batch -> 'max_events') <> 'number' or s.batch ->> 'max_events' !~ '^(1000|[1-9][0-9]{0,2})$'
  ) then
    perform walhook.refuse('batch', 'has to be an object whose max_events is a number from 1 to 1000');
  end if;
  if s.batch ? 'max_wait' and not coalesce(walhook.duration_ms(s.batch ->> 'max_wait') between 0 and 30000, false) then
    perform walhook.refuse('batch', 'has to be an object whose max_wait is a duration from 0ms to 30s');
  end if;
  -- Waiting and sending both have to end within a lease of 60 s, with some to spare for what may come between.
  if walhook.duration_ms(coalesce(s.batch ->> 'max_wait', '5s')) + walhook.duration_ms(s.timeout) > 50000 then
    perform walhook.refuse('batch', 'has to be an object whose max_wait and the timeout are at most 50s together');
  end if;
  if s.ordering = 'key' then
    perform walhook.refuse('batch', 'has to be null where ordering is key: a batch holds events of many keys');
  end if;
  if s.body = 'payload' then
    perform walhook.refuse('batch', 'has to be null where body is payload, which has no place for each event''s id');
  end if;
  if cardinality(s.forward_headers) > 0 then
    perform walhook.refuse('batch', 'has to be null where forward_headers are asked for: each event of a batch has headers of its own');
  end if;
  if walhook.duration_ms(s.ttl) <= walhook.duration_ms(coalesce(s.batch ->> 'max_wait', '5s')) then
    perform walhook.refuse('batch', 'has to be an object whose max_wait is shorter than the ttl: its events would expire while they wait for others');
  end if;
end
$$;
comment on function walhook.check_batch(walhook.subscriptions) is 'Refuses what cannot be a batch, or cannot be sent as one.';

create or replace function walhook.check_ordering(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if s.ordering is null or s.ordering not in ('none', 'key') then
    perform walhook.refuse('ordering', 'has to be none or key');
  end if;
  if s.on_dead is null or s.on_dead not in ('block', 'skip') then
    perform walhook.refuse('on_dead', 'has to be block or skip');
  end if;
end
$$;
comment on function walhook.check_ordering(walhook.subscriptions) is 'Refuses what cannot be an order.';

create or replace function walhook.check_pace(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if s.rate_limit !~ '^[1-9][0-9]{0,5}/[sm]( burst [1-9][0-9]{0,5})?$' then
    perform walhook.refuse('rate_limit', 'has to be a rate like 10/s, 600/m or 10/s burst 50, each number from 1 to 999999');
  end if;
  if s.max_in_flight not between 1 and 10000 then
    perform walhook.refuse('max_in_flight', 'has to be 1 to 10000');
  end if;
end
$$;
comment on function walhook.check_pace(walhook.subscriptions) is 'Refuses what cannot be a limit.';

create or replace function walhook.check_lifetime(s walhook.subscriptions) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if s.ttl is not null and not coalesce(walhook.duration_ms(s.ttl) between 1000 and 365 * 86400000::bigint, false) then
    perform walhook.refuse('ttl', 'has to be a duration from 1s to 365d');
  end if;
  if not coalesce(walhook.duration_ms(s.disable_after) between 60000 and 365 * 86400000::bigint, false) then
    perform walhook.refuse('disable_after', 'has to be a duration from 1m to 365d');
  end if;
end
$$;
comment on function walhook.check_lifetime(walhook.subscriptions) is 'Refuses what cannot be the time that an event or a failing subscription has.';

create or replace function walhook.check_subscription() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform walhook.check_wish(new);
  perform walhook.check_name(new);
  perform walhook.check_secrets(new);
  perform walhook.check_retries(new);
  perform walhook.check_request(new);
  perform walhook.check_signature(new);
  perform walhook.check_access(new);
  perform walhook.check_batch(new);
  perform walhook.check_ordering(new);
  perform walhook.check_pace(new);
  perform walhook.check_lifetime(new);
  return new;
end
$$;
comment on function walhook.check_subscription() is 'Refuses what cannot be a subscription, naming the field and the rule.';
create or replace trigger check_subscription before insert or update on walhook.subscriptions
  for each row execute function walhook.check_subscription();
