insert into public.accounts (id, owner_id, account_number, company, billing_email, billing, balance, opened_on)
values (900000001, 900000001, 'DEV-1', 'Localhost Ltd', 'dev@developer.example',
        '{"contact": {"name": "Dev Eloper", "email": "dev@developer.example", "phones": []}}', 1000, '2026-01-01')
on conflict (id) do nothing;
