-- For a DBA to read and run once, as a superuser, in the application's database, before `walhook migrate`:
--
--   psql -v walhook_password=… -f sql/roles.sql
--
-- It makes two roles:
--   walhook      the login that Walhook runs with: it owns its two schemas, may create its publication, and may stream. It may
--                write messages to the log too: walhook.resend and its like wake Walhook by one.
--                REPLICATION lets a login read every table of the databases it may connect to through a slot, and drop any
--                slot: keep its password as you keep a superuser's. To split the two, give WALHOOK_REPLICATION_URL a login
--                of its own that has REPLICATION and CONNECT and nothing else, and take REPLICATION from this one.
--   walhook_app  for applications: may write events, and can read nothing. Grant it to your application's login:
--                grant walhook_app to my_application;
--
-- And it takes from everybody, here in this database, the right to write messages to the log, which Postgres grants to all: those
-- whose prefix is walhook are events. Another tool of yours that writes messages (a heartbeat, say) needs the grant for its login.
\set ON_ERROR_STOP on
begin;

create role walhook login replication password :'walhook_password';
select format('grant connect, create on database %I to walhook', current_database()) \gexec

create schema walhook authorization walhook;
create schema walhook_jobs authorization walhook;

create role walhook_app nologin;
grant usage on schema walhook to walhook_app;
select
  format('revoke execute on function %s from public', oid::regprocedure) as taken,
  format('grant execute on function %s to walhook_app, walhook', oid::regprocedure) as given
from pg_proc where proname = 'pg_logical_emit_message' \gexec

commit;
