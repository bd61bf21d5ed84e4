-- Nobody stays logged in from a copy.

update public.sessions set ended_at = started_at where ended_at is null;
