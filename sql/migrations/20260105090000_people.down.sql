drop table public.sessions;
drop table public.accounts;
drop sequence public.account_number_seq;
drop table public.users;
drop domain public.currency_amount;
drop type public.user_role;
