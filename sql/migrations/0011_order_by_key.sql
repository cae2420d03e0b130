-- Order by key: of each key one delivery is at the front, and the others stand behind it (sql/key_order.sql).

alter table walhook.deliveries
  add column order_key uuid,
  add column holds_key_until timestamptz;

-- What is at the front of a key, or would be if somebody looked. Few of a key are, since the others stand behind.
create index deliveries_key_front on walhook.deliveries (subscription_id, order_key, id)
  where order_key is not null
    and (state = 'pending' and next_attempt_at < 'infinity' or holds_key_until is not null);
-- Who is next.
create index deliveries_key_behind on walhook.deliveries (subscription_id, order_key, id)
  where order_key is not null and state = 'pending' and next_attempt_at = 'infinity';

comment on column walhook.deliveries.order_key is
  'A digest of the event''s key, where the subscription is ordered by key; null for a delivery that waits for no other. See walhook.order_key.';
comment on column walhook.deliveries.holds_key_until is
  'Of a delivery that is no longer pending: those behind it of its key wait until then. infinity: it is dead and blocks its key, see walhook.blocked_keys. A time: it was accepted while another process had it in hand.';
comment on column walhook.deliveries.next_attempt_at is
  'While pending. infinity: behind another of its key. scheduled: when the retry is due. Not scheduled and in the future: held in a process''s memory until then. Not scheduled and past: free for any process to take.';
