-- Rate limits hold for all replicas together, so the count is kept where all of them see it.

-- Unlogged: what a crash of the server forgets is worth a burst, and each write ahead would cost as much as a delivery's.
create unlogged table walhook.rate_limits (
  subscription_id uuid primary key,
  granted integer not null,
  free_at timestamptz not null
) with (fillfactor = 50);

comment on table walhook.rate_limits is
  'What subscriptions with a rate_limit have used of it, over all replicas. Empty after a crash of the server; nothing else is lost with it.';
comment on column walhook.rate_limits.subscription_id is 'subscriptions.id.';
comment on column walhook.rate_limits.granted is 'Requests that the last reservation got.';
comment on column walhook.rate_limits.free_at is 'When everything that was granted will have been earned at the subscription''s rate.';
