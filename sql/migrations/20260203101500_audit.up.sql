-- The audit trail, by month, and what is computed from it.

create schema audit;

create table audit.events (
    id           bigint generated always as identity,
    occurred_at  timestamptz not null,
    actor_id     bigint,
    actor_email  text,
    action       text not null,
    detail       jsonb,
    ip           inet,
    request      text,
    primary key (occurred_at, id)
) partition by range (occurred_at);

create table audit.events_2026_01 partition of audit.events for values from ('2026-01-01Z') to ('2026-02-01Z');
create table audit.events_2026_02 partition of audit.events for values from ('2026-02-01Z') to ('2026-03-01Z');
create table audit.events_2026_03 partition of audit.events for values from ('2026-03-01Z') to ('2026-04-01Z');
create table audit.events_2026_04 partition of audit.events for values from ('2026-04-01Z') to ('2026-05-01Z');
create table audit.events_rest    partition of audit.events default;
create index events_actor on audit.events (actor_id, occurred_at);

create function audit.account_changed() returns trigger language plpgsql as $$
begin
    insert into audit.events (occurred_at, actor_id, action, detail)
    values (now(), new.owner_id, 'account.balance',
            jsonb_build_object('account', new.account_number, 'from', old.balance, 'to', new.balance));
    return new;
end
$$;
create trigger accounts_audit after update of balance on public.accounts
    for each row when (old.balance is distinct from new.balance) execute function audit.account_changed();

create function public.touch() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end
$$;
create trigger users_touch before update on public.users for each row execute function public.touch();

create view public.active_users as
    select id, username, full_name, lower(email) as email from public.users where is_active;

create materialized view audit.daily_activity as
    select (occurred_at at time zone 'UTC')::date as day, action, actor_email, count(*) as events
    from audit.events group by 1, 2, 3
    with no data;
create unique index daily_activity_key on audit.daily_activity (day, action, actor_email);
