-- People, their accounts and their sessions.

create type public.user_role as enum ('member', 'admin', 'Owner (legacy)');
create domain public.currency_amount as numeric(14, 2) check (value > -1000000000);

create table public.users (
    id            bigint generated always as identity primary key,
    public_id     uuid not null default gen_random_uuid(),
    email         text not null constraint users_email_has_at check (position('@' in email) > 1),
    username      text not null,
    full_name     text not null,
    phone         text,
    role          public.user_role not null default 'member',
    manager_id    bigint references public.users (id) deferrable initially deferred,
    address       jsonb,
    contacts      jsonb not null default '{"people": []}',
    alt_emails    text[] not null default '{}',
    birth_date    date,
    reputation    numeric,
    last_ip       inet,
    avatar        bytea,
    notes         text,
    legacy_fax    text,
    is_active     boolean not null default true,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    email_domain  text generated always as (split_part(lower(email), '@', 2)) stored,
    unique (public_id)
);
create unique index users_email_key on public.users (lower(email));
create unique index users_username_key on public.users (username);
create index users_inactive on public.users (updated_at) where not is_active;
create index users_address on public.users using gin (address jsonb_path_ops);

comment on table public.users is 'Everyone who ever signed up; nobody''s row is deleted';
comment on column public.users.alt_emails is E'Older addresses\n\tnewest first';

create sequence public.account_number_seq start 100000 increment 10 cache 5;

create table public.accounts (
    id              serial primary key,
    owner_id        bigint not null references public.users (id),
    parent_id       integer references public.accounts (id),
    account_number  text not null default 'ACC-' || nextval('public.account_number_seq'),
    company         text,
    billing_email   text not null,
    billing         jsonb not null,
    iban            text,
    balance         public.currency_amount not null default 0,
    tags            text[] not null default '{}',
    valid           daterange,
    opened_on       date not null,
    unique (account_number)
);
create index accounts_owner on public.accounts (owner_id);

create unlogged table public.sessions (
    id           uuid primary key,
    user_id      bigint not null references public.users (id) on delete cascade,
    token_hash   text not null,
    ip           inet not null,
    user_agent   text,
    state        text,
    started_at   timestamptz not null,
    ended_at     timestamptz
);
create index sessions_open on public.sessions (user_id, started_at desc) where ended_at is null;
comment on column public.sessions.state is 'JSON, kept as text since version 2';

alter table public.sessions enable row level security;
create policy own_sessions on public.sessions
    using (user_id = nullif(current_setting('app.user_id', true), '')::bigint);
