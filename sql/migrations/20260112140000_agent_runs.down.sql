drop table public."Weird ""Name"" é";
drop table public.settings;
drop table public.agent_runs;
drop type public.run_status;
