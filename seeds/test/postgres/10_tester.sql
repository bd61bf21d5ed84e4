-- The login of the automated tests; its id belongs to seeds.

insert into public.users (id, public_id, email, username, full_name)
overriding system value
values (900000001, '00000000-0000-4000-8000-000000000009', 'tester@developer.example', 'tester', 'Te Ster')
on conflict (id) do nothing;
