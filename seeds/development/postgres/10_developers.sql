-- The logins that every developer knows. Ids from 900000001 on belong to seeds; a second run changes nothing.

insert into public.users (id, public_id, email, username, full_name, phone, role, contacts)
overriding system value
values
    (900000001, '00000000-0000-4000-8000-000000000001', 'dev@developer.example', 'dev', 'Dev Eloper', '+1 555 0100000',
     'admin', '{"people": []}'),
    (900000002, '00000000-0000-4000-8000-000000000002', 'reviewer@developer.example', 'reviewer', 'Re Viewer', null,
     'member', '{"people": [{"name": "Dev Eloper", "email": "dev@developer.example"}]}')
on conflict (id) do nothing;
