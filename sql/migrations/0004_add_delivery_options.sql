-- How a subscription's events are delivered: what a request looks like, together with others or one by one, in which order, how
-- fast, for how long. What may stand there is checked by the trigger check_subscription (sql/subscription_checks.sql), so that
-- every way of writing gets the same words.

alter table walhook.subscriptions
  add column method text not null default 'POST',
  add column body text not null default 'envelope',
  add column signature text[] not null default '{standard}',
  add column signature_header text,
  add column header_prefix text,
  add column headers jsonb not null default '{}',
  add column forward_headers text[] not null default '{}',
  add column ed25519_key text,
  add column auth text,
  add column tls text,
  add column handshake boolean not null default false,
  add column batch jsonb,
  add column ordering text not null default 'none',
  add column on_dead text not null default 'block',
  add column rate_limit text,
  add column max_in_flight integer,
  add column ttl text,
  add column disable_after text not null default '5d';

comment on column walhook.subscriptions.method is 'POST or PUT.';
comment on column walhook.subscriptions.body is
  'What the body is: envelope (id, type, timestamp and data); payload (its bytes alone); cloudevents, cloudevents-binary or cloudevents-batch.';
comment on column walhook.subscriptions.signature is
  'How requests are signed: standard, standard-ed25519, github, stripe, hex, several of them, or {none}.';
comment on column walhook.subscriptions.signature_header is 'The header of a hex signature; null means X-Webhook-Signature.';
comment on column walhook.subscriptions.header_prefix is
  'Begins the names of our headers in place of webhook- and walhook-: X-Acme- gives X-Acme-Id, X-Acme-Signature and so on.';
comment on column walhook.subscriptions.headers is 'Headers of one''s own, a JSON object of texts, sent with each request.';
comment on column walhook.subscriptions.forward_headers is 'Names in the event''s headers that are sent as headers of the request.';
comment on column walhook.subscriptions.ed25519_key is
  'The private key of standard-ed25519: whsk_ and base64, or sealed. Made where a subscription asks for that signature and brings none.';
comment on column walhook.subscriptions.auth is
  'Credentials, as JSON text or sealed: {"type":"basic","username":…,"password":…}, {"type":"bearer","token":…}, or {"type":"oauth2","token_url":…,"client_id":…,"client_secret":…,"scope":…}.';
comment on column walhook.subscriptions.tls is
  'Certificates, as JSON text or sealed: {"ca":PEM} trusts that authority; {"cert":PEM,"key":PEM} is the client''s certificate.';
comment on column walhook.subscriptions.handshake is 'Whether the endpoint has to consent first, by the CloudEvents webhook handshake.';
comment on column walhook.subscriptions.batch is
  'Collects events into one request: {"max_events":100,"max_wait":"5s"}. Null sends each by itself and at once.';
comment on column walhook.subscriptions.ordering is 'none, or key: events of one key one at a time, in commit order.';
comment on column walhook.subscriptions.on_dead is 'With ordering by key: whether a dead delivery blocks those behind it (block) or not (skip).';
comment on column walhook.subscriptions.rate_limit is
  'Requests in a second or a minute, over all replicas: 10/s, 600/m, or 10/s burst 50. Null is without limit.';
comment on column walhook.subscriptions.max_in_flight is 'Requests at one time, from each replica, where that is fewer than WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT.';
comment on column walhook.subscriptions.retry_on is
  'any: every failure is retried. transient: network errors, 408, 425, 429 and 5xx are; any other status is dead at once.';
comment on column walhook.subscriptions.ttl is 'An event that is older is not sent any more, but cancelled. Null means never.';
comment on column walhook.subscriptions.disable_after is 'Failing without a success for this long disables it; its deliveries wait then.';
