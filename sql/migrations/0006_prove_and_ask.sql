-- What an endpoint said of the CloudEvents webhook handshake, for every replica and restart.

create table walhook.consents (
  subscription_id uuid primary key references walhook.subscriptions (id) on delete cascade,
  url text not null,
  origin text not null,
  asked_at timestamptz not null default now(),
  refusals integer not null default 0 constraint consents_refusals_are_counted check (refusals >= 0),
  refused_for text,
  consented_at timestamptz,
  allowed_rate integer constraint consents_allowed_rate_is_positive check (allowed_rate > 0),
  constraint consents_rate_comes_with_consent check (allowed_rate is null or consented_at is not null)
);
comment on table walhook.consents is
  'What the endpoints of subscriptions with a handshake were asked, and said. A row that is deleted is asked for anew.';
comment on column walhook.consents.subscription_id is 'Whose endpoint was asked.';
comment on column walhook.consents.url is 'The URL that was asked. A subscription whose URL is another has no consent.';
comment on column walhook.consents.origin is 'The origin that it was asked for: WALHOOK_ORIGIN at that time.';
comment on column walhook.consents.asked_at is 'When it was asked last, by any replica.';
comment on column walhook.consents.refusals is 'How often in a row it did not consent: the pause before it is asked again grows with it.';
comment on column walhook.consents.refused_for is
  'Why it was no consent, the last time: a status, a header that was missing or another, or an error class.';
comment on column walhook.consents.consented_at is 'When it consented. Null: nothing is delivered.';
comment on column walhook.consents.allowed_rate is 'Requests per minute that it allows; null is without limit.';
