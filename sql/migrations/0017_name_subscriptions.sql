-- Names, by which people, files and tables speak of subscriptions.

alter table walhook.subscriptions add column name text;
comment on column walhook.subscriptions.name is
  'What people call it, and by what a configuration file knows it: unique within its tenant, or among those without one. Null where nobody named it.';
-- No tenant is the empty text, so the expression tells apart what the columns do.
create unique index subscriptions_name_is_unique_within_its_tenant on walhook.subscriptions (name, coalesce(tenant, ''));
