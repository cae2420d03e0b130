-- What the pages of deliveries and events stand on, and a cancelled delivery's being seen by whoever holds it. What each index costs
-- where events pass: docs/decisions/0016-what-lists-cost.md.

-- Of one subscription, or of a tenant's, the newest first.
create index deliveries_of_subscription on walhook.deliveries (subscription_id, id);
-- Few end so, and nobody else pays.
create index deliveries_ended_badly on walhook.deliveries (id) where state in ('dead', 'cancelled');
create index deliveries_cancelled on walhook.deliveries (subscription_id, finished_at)
  where state = 'cancelled' and last_error in ('cancelled', 'expunged');

-- Knows an order, as the BRIN did not: pages of events, retention and backfills read what they return and no more. A BRIN also
-- forgets: once the space of removed rows is used again, each of its ranges begins in the past.
create index outbox_in_order on walhook.outbox (created_at, id);
drop index walhook.outbox_created_at;

-- Attempts are only ever added, in the order of time: what was made lately is found without reading the day.
create index attempts_started_at on walhook.attempts using brin (started_at) with (pages_per_range = 16, autosummarize = on);

alter table walhook.replays add column statuses int4range, add column error text;
comment on column walhook.replays.statuses is 'Only deliveries whose last attempt got one of these HTTP statuses; null means all.';
comment on column walhook.replays.error is 'Only deliveries whose last attempt had this error class; null means all.';

comment on column walhook.deliveries.state is
  'pending; delivered (a 2xx); dead (will not be attempted again by itself); cancelled (by a person, its subscription was deleted, or its event came too late or was expunged).';
comment on column walhook.deliveries.last_error is
  'Error class of the last attempt, if it had one; of one that ended without an attempt, why: cancelled, expired, expunged, event_missing.';
