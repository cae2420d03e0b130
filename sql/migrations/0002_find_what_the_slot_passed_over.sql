-- What is needed to look the outbox through for events that did not come over the log: up to where that was done, and
-- since when a subscription is owed events whose place in the log is not known.

alter table walhook.relay
  add column audited_to xid8 not null default '0',
  add column audited_at timestamptz,
  add column rescan_from timestamptz,
  add column rescan_to xid8,
  add column rescan_reason text,
  add constraint relay_rescan_is_whole check (num_nulls(rescan_from, rescan_to, rescan_reason) in (0, 3));
comment on column walhook.relay.audited_to is
  'Every event of an older transaction has been compared with its deliveries. Retention removes none that is younger.';
comment on column walhook.relay.audited_at is 'The moment that audited_to was taken.';
comment on column walhook.relay.rescan_from is
  'A gap in the log was found: events created since then are looked for in the outbox. Null once that is done.';
comment on column walhook.relay.rescan_to is 'Transactions from this one on come through the slot.';
comment on column walhook.relay.rescan_reason is 'What made the gap: first_start, slot_missing, slot_lost, slot_moved, another_cluster or outbox_unpublished.';

-- Subscriptions that exist are older than any gap that is found from now on.
alter table walhook.subscriptions add column active_from_xid xid8 not null default '0';
alter table walhook.subscriptions alter column active_from_xid set default pg_snapshot_xmin(pg_current_snapshot());
comment on column walhook.subscriptions.active_from_xid is
  'For events whose place in the log is unknown: owed those of this transaction and later ones. What was open when the subscription was made counts as later.';
