drop materialized view audit.daily_activity;
drop view public.active_users;
drop trigger users_touch on public.users;
drop function public.touch();
drop trigger accounts_audit on public.accounts;
drop function audit.account_changed();
drop table audit.events;
drop schema audit;
