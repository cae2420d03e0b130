-- Events that were written to another outbox, or to the log alone, are copied to ours when they are recorded.

alter table walhook.outbox add column captured_from text;
comment on column walhook.outbox.captured_from is
  'The source that the event was written to: a table of WALHOOK_SOURCES, or message. Walhook sets it, and nobody else: a row that has it is passed over when it comes over the log.';

alter table walhook.relay add column sources text;
comment on column walhook.relay.sources is
  'What row_in_transaction counts beside the outbox''s rows. Where that changes, a transaction that is recorded in part is recorded again.';
comment on column walhook.malformed.row_in_transaction is
  'Which row of that transaction, from 0; -1 for a message that is in none.';
