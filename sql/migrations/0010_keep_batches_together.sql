-- A batch that failed is tried again as the same batch: its deliveries remember which, and how many they were.

alter table walhook.deliveries
  add column batch_id uuid,
  add column batch_size integer,
  add constraint deliveries_batch_has_a_size check ((batch_id is null) = (batch_size is null));

comment on column walhook.deliveries.batch_id is
  'While pending: the batch in which its last attempt failed, and as which it goes again if all of it comes back together.';
comment on column walhook.deliveries.batch_size is 'How many deliveries that batch had.';
comment on column walhook.attempts.batch_id is
  'The webhook-id of the request, where it was a batch: attempts of one batch and one time are one request. Null otherwise.';
