-- What our processes need of the schema and, owning nothing, cannot do themselves.

create function make_observations_partition(month date) returns boolean
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    name text := 'observations_' || to_char(month, 'YYYY_MM');
    -- a month is UTC's, whatever the session's time zone
    beginning timestamptz := date_trunc('month', month::timestamp) at time zone 'UTC';
    ending timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC';
begin
    if to_regclass(format('public.%I', name)) is not null or exists (
        select 1 from observations_default where observed_at >= beginning and observed_at < ending
    ) then
        return false;
    end if;
    execute format('create table if not exists %I partition of observations for values from (%L) to (%L)',
                   name, beginning, ending);
    return true;
end $$;
comment on function make_observations_partition is
    'Whether the month was missing and is made; one whose rows the default partition holds is left there.';
revoke all on function make_observations_partition(date) from public;
grant execute on function make_observations_partition(date) to microcrop_app;
