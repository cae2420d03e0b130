-- How long an endpoint has been failing, and what was said of it. Functions, views and triggers that use it are applied again.

create table walhook.failing_endpoints (
  subscription_id uuid primary key,
  since timestamptz not null,
  failures integer not null
    constraint failing_endpoints_failures_is_a_count check (failures >= 0),
  last_failure_at timestamptz not null,
  last_status integer,
  last_error text,
  told_failing boolean not null default false,
  owes_recovery boolean not null default false
) with (fillfactor = 50);

comment on table walhook.failing_endpoints is
  'Subscriptions whose last attempt failed. A healthy one has no row, so that a success costs no write. No foreign key: a settlement must not fail for a subscription that is being deleted.';
comment on column walhook.failing_endpoints.subscription_id is 'subscriptions.id.';
comment on column walhook.failing_endpoints.since is 'When the first failure after the last success, or after the last resume, was recorded.';
comment on column walhook.failing_endpoints.failures is 'Failures in a row. 0: somebody resumed it, and nothing has been attempted since.';
comment on column walhook.failing_endpoints.last_failure_at is 'When the last of them was recorded.';
comment on column walhook.failing_endpoints.last_status is 'Its HTTP status, if it got one.';
comment on column walhook.failing_endpoints.last_error is 'Its error class, if it had one.';
comment on column walhook.failing_endpoints.told_failing is 'walhook.subscription.failing is due once in this period, and was.';
comment on column walhook.failing_endpoints.owes_recovery is 'It was told as failing or disabled: so is the next success.';

alter table walhook.relay add column at_risk_since timestamptz;
comment on column walhook.relay.at_risk_since is
  'Since when the slot has been in danger, so that one replica tells of it, once; null while it is not.';

-- Answers how fast deliveries have been made lately, and costs an update next to nothing.
create index deliveries_finished_at on walhook.deliveries
  using brin (finished_at) with (pages_per_range = 32, autosummarize = on);

comment on column walhook.subscriptions.state_reason is
  'Why it is not active: what a person gave as the reason, or gone, failing for …, or that the endpoint asked for it.';
comment on column walhook.deliveries.state is
  'pending; delivered (a 2xx); dead (will not be attempted again by itself); cancelled (its subscription was deleted, or its event expunged or older than the ttl).';
comment on column walhook.deliveries.last_error is
  'Error class of the last attempt, if it had one; event_missing, expired or expunged where it was given up without one.';
comment on column walhook.deliveries.scheduled is
  'A pg-boss job will make it due at next_attempt_at: a retry, or a first attempt that deliver_after delays.';
comment on column walhook.outbox.headers is
  'Metadata as a JSON object; traceparent and tracestate are passed on. deliver_after delays: a duration such as 10m, or an RFC 3339 time.';
comment on column walhook.subscriptions.disable_after is
  'Failing without a success for this long, and five times in a row, disables it; its deliveries wait then.';
