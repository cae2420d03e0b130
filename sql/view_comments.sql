-- So that \d+ is a manual: what the columns of views say. Applied after the views, which are made anew each time.

comment on column walhook.delivery_status.event_type is 'outbox.type; null where the outbox does not have the event any more.';
comment on column walhook.delivery_status.key is 'outbox.key.';
comment on column walhook.delivery_status.tenant is 'The event''s, or where it has none the subscription''s.';
comment on column walhook.delivery_status.url is 'Where it goes; null where the subscription was deleted.';
comment on column walhook.delivery_status.waits_as is
  'What a pending one waits for. waiting: to be taken by a process. in flight: one has it. retry scheduled, delayed: for next_attempt_at. parked: for its subscription to be resumed. behind its key: for an earlier one of that key. awaiting consent: for its endpoint''s.';
comment on column walhook.delivery_status.next_attempt_at is
  'While pending: when the next attempt is due, or, in flight, until when a process has it. Null behind its key.';

comment on column walhook.subscription_health.failing_since is 'Since when every attempt has failed; null while the last one succeeded.';
comment on column walhook.subscription_health.failures_in_a_row is 'Failed attempts since then.';
comment on column walhook.subscription_health.disabled_from is 'When it is disabled if it goes on like that, by disable_after.';
comment on column walhook.subscription_health.pending is 'Deliveries that are still owed, of those that are kept.';
comment on column walhook.subscription_health.delivered is 'Deliveries that were accepted, of those that are kept.';
comment on column walhook.subscription_health.dead is 'Dead letters, of those that are kept: walhook.replay sends them again.';
comment on column walhook.subscription_health.oldest_pending_at is 'When the oldest of what is owed was recorded.';
comment on column walhook.subscription_health.last_delivered_at is 'When something was last accepted.';

comment on column walhook.subscription_overview.has_auth is 'Whether it has credentials, which are shown nowhere.';
comment on column walhook.subscription_overview.has_tls is 'Whether it has certificates, which are shown nowhere.';

comment on column walhook.subscription_stats.attempts_24h is 'Attempts of the last 24 hours.';
comment on column walhook.subscription_stats.failed_attempts_24h is 'Those of them that were not accepted.';
comment on column walhook.subscription_stats.failure_rate_24h is 'Their share, from 0 to 1; null without attempts.';
comment on column walhook.subscription_stats.attempts_7d is 'Attempts of the last 7 days.';
comment on column walhook.subscription_stats.failed_attempts_7d is 'Those of them that were not accepted.';
comment on column walhook.subscription_stats.failure_rate_7d is 'Their share, from 0 to 1; null without attempts.';
comment on column walhook.subscription_stats.delivered_7d is 'Deliveries that were accepted in the last 7 days.';
comment on column walhook.subscription_stats.dead_7d is 'Deliveries that died in the last 7 days.';

comment on column walhook.replica_status.streams is 'Whether it reads the log now.';
comment on column walhook.replica_status.seen_at is 'Now, while it is here; when it was found gone; when it began, where nobody has looked yet.';
comment on column walhook.replica_status.is_gone is 'Whether its session has ended: so has the process, or it cannot reach the database.';

comment on column walhook.backlog.subscription_id is 'Who is owed.';
comment on column walhook.backlog.url is 'Where to; null where the subscription was deleted.';
comment on column walhook.backlog.subscription_state is 'active, paused or disabled: the last two park what they are owed.';
comment on column walhook.backlog.pending is 'All that is owed.';
comment on column walhook.backlog.parked is 'What of it waits for the subscription to be resumed: all or nothing.';
comment on column walhook.backlog.delayed is 'What of it waits for its first attempt, by deliver_after.';
comment on column walhook.backlog.retries_scheduled is 'What of it failed, and waits for its next attempt.';
comment on column walhook.backlog.waiting is 'What of it any process may take now.';
comment on column walhook.backlog.behind_their_key is 'What of it waits for an earlier event of its key.';
comment on column walhook.backlog.oldest_at is 'When the oldest of it was recorded.';
comment on column walhook.backlog.oldest_age is 'How long ago that is.';
comment on column walhook.backlog.delivered_per_second is 'In the last five minutes; null where nothing was delivered in them.';
comment on column walhook.backlog.drained_in is 'How long all of it takes at that rate, if nothing is added.';

comment on column walhook.slot_health.exists is 'Whether Postgres has the slot.';
comment on column walhook.slot_health.state is 'missing, reserved, extended, unreserved (it can be lost at any checkpoint) or lost.';
comment on column walhook.slot_health.invalidation_reason is 'Why Postgres gave it up; from 17 on.';
comment on column walhook.slot_health.plugin is 'wal2json or pgoutput.';
comment on column walhook.slot_health.active is 'Whether a process streams from it.';
comment on column walhook.slot_health.active_pid is 'The server process that it streams from.';
comment on column walhook.slot_health.wal_status is 'As pg_replication_slots has it.';
comment on column walhook.slot_health.safe_wal_bytes is 'How much more write-ahead log can be written before the slot may be lost; null without max_slot_wal_keep_size.';
comment on column walhook.slot_health.retained_wal_bytes is 'How much of the log it makes Postgres keep.';
comment on column walhook.slot_health.unconfirmed_wal_bytes is 'How far Walhook is behind the end of the log.';
comment on column walhook.slot_health.lag_seconds is 'From a commit to its confirmation, as Postgres measured it last; null where nothing is outstanding, nobody streams, or the login may not see it.';
comment on column walhook.slot_health.confirmed_flush_lsn is 'Up to where Walhook has told Postgres that everything is recorded.';
comment on column walhook.slot_health.recorded_lsn is 'relay.lsn: up to where it is.';
comment on column walhook.slot_health.last_event_committed_at is 'When the last event that was recorded had been committed.';
comment on column walhook.slot_health.recorded_at is 'When that was recorded.';
comment on column walhook.slot_health.rescan_owed_for is 'Why the outbox is still to be searched for what the slot passed over; null where it is not.';

comment on column walhook.blocked_keys.subscription_id is 'Of which subscription, ordered by key.';
comment on column walhook.blocked_keys.url is 'Its endpoint.';
comment on column walhook.blocked_keys.key is 'The key that waits; null where the outbox does not have the event any more.';
comment on column walhook.blocked_keys.delivery_id is 'The dead delivery that it waits behind.';
comment on column walhook.blocked_keys.since is 'When that died.';
comment on column walhook.blocked_keys.waiting is 'How many stand behind it.';

comment on column walhook.consent_status.subscription_id is 'Of which subscription, with a handshake.';
comment on column walhook.consent_status.url is 'Its endpoint.';
comment on column walhook.consent_status.consent is 'given, refused or not asked.';
comment on column walhook.consent_status.asked_again_at is 'When it may be asked again; null once it consented.';

comment on column walhook.key_fronts.is_held is 'Whether it is being sent, or may be.';
comment on column walhook.key_fronts.holds_until is 'Until when what stands behind it waits.';

comment on column walhook.replay_status.waits_for is 'What a running one waits for; null while it goes on.';
comment on column walhook.replay_status.percent is 'replayed, of total.';
comment on column walhook.replay_status.per_second is 'Since it began or was continued.';
comment on column walhook.replay_status.remaining is 'How long it may still take at that rate.';
comment on column walhook.replay_status.url is 'Where they go.';

comment on column walhook.space.table_name is 'In schema walhook, or a partition''s table.';
comment on column walhook.space.partition_name is 'The partition, where it is one.';
comment on column walhook.space.rows_estimate is 'As the last analyze left it.';
comment on column walhook.space.dead_rows is 'What vacuum has still to remove.';
comment on column walhook.space.total_bytes is 'Table, indexes and what is stored beside it.';
comment on column walhook.space.table_bytes is 'Without indexes.';
comment on column walhook.space.index_bytes is 'Its indexes.';
comment on column walhook.space.last_vacuum is 'By hand or by itself.';
comment on column walhook.space.oldest_at is 'When the oldest of it was written.';
comment on column walhook.space.kept_for is 'WALHOOK_RETENTION, as it was last applied.';
comment on column walhook.space.retention_applied_at is 'When that was.';

-- The others are columns of tables, or of these views, under the names that they have there.
do $$
declare
  borrowed record;
begin
  for borrowed in
    select v.attname, pairs.view_name, col_description(t.attrelid, t.attnum) as says
    from (values
      ('delivery_status', 'deliveries'),
      ('subscription_health', 'subscriptions'),
      ('subscription_overview', 'subscriptions'),
      ('subscription_stats', 'subscriptions'),
      ('replica_status', 'replicas'),
      ('subscription_overview', 'subscription_health'),
      ('slot_health', 'relay'),
      ('blocked_keys', 'deliveries'),
      ('consent_status', 'consents'),
      ('key_fronts', 'deliveries'),
      ('replay_status', 'replays')
    ) as pairs (view_name, table_name)
    join pg_attribute as v on v.attrelid = ('walhook.' || pairs.view_name)::regclass
    join pg_attribute as t on t.attrelid = ('walhook.' || pairs.table_name)::regclass and t.attname = v.attname
    where v.attnum > 0 and col_description(v.attrelid, v.attnum) is null and col_description(t.attrelid, t.attnum) is not null
  loop
    execute format('comment on column walhook.%I.%I is %L', borrowed.view_name, borrowed.attname, borrowed.says);
  end loop;
end
$$;
