-- A development copy answers at its own address, and says what it is.

insert into public.settings (key, value)
values ('app.base_url', '"http://localhost:3000"'), ('app.title', '"Progressive Framework v5 (development)"')
on conflict (key) do update set value = excluded.value, updated_at = now();
