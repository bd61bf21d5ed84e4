select lo_unlink(content) from public.attachments;
drop table public.attachments;
alter table public.users drop column locale;
alter table public.users add column legacy_fax text;
