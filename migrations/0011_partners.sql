-- Partners: organisations with their keys, agents and groups, and the wall between them.
-- A row's organisation is the tenant that may see it; none means a direct farmer, by USSD.

-- made before there were organisations, and never used
drop table api_keys;
drop table idempotency_keys;

create table organisations (
    id          uuid primary key,
    name        text not null unique check (length(name) between 2 and 120),
    kind        text not null check (kind in ('cooperative', 'lender', 'insurer')),
    state       text not null check (state in ('active', 'suspended')),
    created_at  timestamptz not null
);
comment on table organisations is 'Partners, each a tenant: sees its own farmers and what follows from them, and nothing else.';

create table api_keys (
    id               uuid primary key,
    organisation_id  uuid not null references organisations (id),
    name             text not null,
    hint             text not null check (hint ~ '^[a-z2-7]{8}$'),
    key_hash         bytea not null unique check (length(key_hash) = 32),
    scopes           text[] not null check (cardinality(scopes) > 0),
    rotated_from     uuid references api_keys (id),
    created_at       timestamptz not null,
    last_used_at     timestamptz,
    ends_at          timestamptz
);
comment on table api_keys is 'SHA-256 of each key; the key itself is shown once. hint is its public part. Good until ends_at, if set.';
create index api_keys_by_organisation on api_keys (organisation_id, id);

create table idempotency_keys (
    organisation_id  uuid not null references organisations (id),
    key              text not null check (length(key) between 1 and 64),
    request_hash     bytea not null check (length(request_hash) = 32),
    status           smallint,
    etag             text,
    location         text,
    response_cipher  bytea,
    created_at       timestamptz not null,
    primary key (organisation_id, key)
);
comment on table idempotency_keys is 'What a change was answered, written in its own transaction; request_hash is keyed, the response sealed.';
create index idempotency_keys_old on idempotency_keys (created_at);

create table agents (
    id               uuid primary key,
    organisation_id  uuid not null references organisations (id),
    code             text not null check (code ~ '^[A-Za-z0-9-]{1,32}$'),
    name_cipher      bytea not null,
    phone_cipher     bytea,
    version          integer not null default 1 check (version >= 1),
    created_at       timestamptz not null,
    ended_at         timestamptz,
    unique (organisation_id, code),
    unique (organisation_id, id)
);
comment on table agents is 'A partner''s field people, who enrol farmers and take their consent; code is the partner''s own.';

create table groups (
    id               uuid primary key,
    organisation_id  uuid not null references organisations (id),
    code             text not null check (code ~ '^[A-Za-z0-9-]{1,32}$'),
    name             text not null check (length(name) between 2 and 120),
    ward_code        text references wards (code),
    version          integer not null default 1 check (version >= 1),
    created_at       timestamptz not null,
    unique (organisation_id, code),
    unique (organisation_id, id)
);
comment on table groups is 'A partner''s groups of farmers; a farmer belongs to at most one.';

alter table farmers
    add column organisation_id uuid references organisations (id),
    add column agent_id uuid,
    add column group_id uuid,
    add column consent_obtained text not null default 'ussd'
        check (consent_obtained in ('ussd', 'paper', 'spoken', 'electronic')),
    add column version integer not null default 1 check (version >= 1),
    -- with the organisation in the key, nobody's farmer can name another's agent or group
    add foreign key (organisation_id, agent_id) references agents (organisation_id, id),
    add foreign key (organisation_id, group_id) references groups (organisation_id, id),
    add check (organisation_id is not null or (agent_id is null and group_id is null));
create index farmers_by_organisation on farmers (organisation_id, id) where organisation_id is not null;
create index farmers_by_group on farmers (group_id, id) where group_id is not null;
comment on column farmers.agent_id is 'Who enrolled her and took her consent, for a partner.';

alter table plots
    add column organisation_id uuid references organisations (id),
    add column located_by text not null default 'ward' check (located_by in ('ward', 'point', 'polygon'));
alter table quotes add column organisation_id uuid references organisations (id);
alter table policies add column organisation_id uuid references organisations (id);
create index plots_by_organisation on plots (organisation_id, id) where organisation_id is not null;
create index quotes_by_organisation on quotes (organisation_id, id) where organisation_id is not null;
create index policies_by_organisation on policies (organisation_id, id) where organisation_id is not null;
create index payouts_by_policy on payouts (policy_id, id);

-- What is a farmer's is her organisation's, whoever writes it: a partner, or she herself by USSD.
create function organisation_of_farmer() returns trigger language plpgsql as $$
begin
    new.organisation_id := (select organisation_id from farmers where id = new.farmer_id);
    return new;
end $$;
create trigger plots_organisation before insert on plots
    for each row execute function organisation_of_farmer();
create trigger quotes_organisation before insert on quotes
    for each row execute function organisation_of_farmer();
create trigger policies_organisation before insert on policies
    for each row execute function organisation_of_farmer();

-- Roles belong to the whole server, so another database's migration may be making them right now.
-- microcrop_app: what our processes are members of. microcrop_partner: what a partner's request
-- runs as; it owns nothing and never goes round a policy.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['microcrop_partner', 'microcrop_app'] loop
        if not exists (select 1 from pg_roles where rolname = wanted) then
            begin
                if wanted = 'microcrop_app' then
                    create role microcrop_app login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
                else
                    create role microcrop_partner nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
                end if;
            exception when duplicate_object or unique_violation then
                null; -- the other was quicker
            end;
        end if;
    end loop;
    begin
        if not pg_has_role('microcrop_app', 'microcrop_partner', 'member') then
            grant microcrop_partner to microcrop_app;
        end if;
        -- a deployment with one user for everything: it must be able to become a partner
        if not pg_has_role(current_user, 'microcrop_app', 'member') then
            execute format('grant microcrop_app to %I', current_user);
        end if;
    exception when duplicate_object or unique_violation or internal_error then
        null; -- "tuple concurrently updated": the other grants the same
    end;
end $$;

grant usage on schema public to microcrop_app, microcrop_partner;
grant select, insert, update, delete on all tables in schema public to microcrop_app;
alter default privileges in schema public grant select, insert, update, delete on tables to microcrop_app;

-- The tenant of this transaction; none outside one, and then no row is anybody's.
create function tenant_id() returns uuid language sql stable parallel safe as
    $$ select nullif(current_setting('microcrop.organisation', true), '')::uuid $$;

do $$
declare
    walled text;
begin
    foreach walled in array array[
        'organisations', 'api_keys', 'idempotency_keys', 'agents', 'groups', 'farmers', 'plots',
        'quotes', 'policies', 'receipts', 'payouts', 'evaluations'
    ] loop
        execute format('alter table %I enable row level security', walled);
        execute format('create policy app_all on %I to microcrop_app using (true) with check (true)', walled);
    end loop;
    foreach walled in array array[
        'api_keys', 'idempotency_keys', 'agents', 'groups', 'farmers', 'plots'
    ] loop
        execute format(
            'create policy partner_own on %I to microcrop_partner
                 using (organisation_id = (select tenant_id()))
                 with check (organisation_id = (select tenant_id()))', walled);
    end loop;
end $$;
-- a quote and a policy are for a plot of that same farmer: the trigger has seen to the farmer, and
-- only one's own plots are seen here
create policy partner_own on quotes to microcrop_partner
    using (organisation_id = (select tenant_id()))
    with check (organisation_id = (select tenant_id()) and exists (
        select 1 from plots where plots.id = quotes.plot_id and plots.farmer_id = quotes.farmer_id));
create policy partner_own on policies to microcrop_partner
    using (organisation_id = (select tenant_id()))
    with check (organisation_id = (select tenant_id()) and exists (
        select 1 from plots where plots.id = policies.plot_id and plots.farmer_id = policies.farmer_id));
create policy partner_own on organisations to microcrop_partner using (id = (select tenant_id()));
-- the policies that these ask for are themselves behind the wall
create policy partner_own on receipts to microcrop_partner
    using (exists (select 1 from policies where policies.id = receipts.policy_id))
    -- asked of the policy's own farmer, or withdrawn before it was; what became of it the rail says
    with check (state in ('requested', 'refused') and exists (
        select 1 from policies
        where policies.id = receipts.policy_id and policies.farmer_id = receipts.farmer_id));
create policy partner_own on payouts to microcrop_partner
    using (exists (select 1 from policies where policies.id = payouts.policy_id));
create policy partner_own on evaluations to microcrop_partner
    using (exists (select 1 from policies where policies.risk_id = evaluations.risk_id));

-- What a partner's request may touch at all. No PIN, no ledger, no leg, no text message.
grant select on organisations, wards, product_versions, risks, index_runs to microcrop_partner;
grant select, insert, update (ends_at) on api_keys to microcrop_partner;
grant select, insert, update (status, etag, location, response_cipher) on idempotency_keys to microcrop_partner;
grant select, insert, update (name_cipher, phone_cipher, ended_at, version) on agents to microcrop_partner;
grant select, insert, update (name, ward_code, version) on groups to microcrop_partner;
grant select (id, phone_index, phone_cipher, name_cipher, national_id_index, national_id_cipher,
              language, ward_code, consent_version, consent_obtained, consented_at,
              sms_opted_out_at, created_at, organisation_id, agent_id, group_id, version),
      insert (id, phone_index, phone_cipher, name_cipher, national_id_index, national_id_cipher,
              language, ward_code, consent_version, consent_obtained, consented_at, created_at,
              organisation_id, agent_id, group_id),
      update (name_cipher, language, ward_code, group_id, version)
    on farmers to microcrop_partner;
grant select, insert on plots, quotes, receipts to microcrop_partner;
grant select, insert, update (state, ended_at) on policies to microcrop_partner;
-- exposure is everybody's together, by cell
grant select, insert, update (reserved_minor, bound_minor) on capacity to microcrop_partner;
grant select on payouts to microcrop_partner;
-- one decision may concern several partners: its totals are nobody's single business
grant select (id, risk_id, index_run_id, observed, settlement, share_numerator, share_denominator,
              weather_bp, vegetation_bp, damage_index_bp, currency, state, cid, short_code, bundle,
              evaluated_at, approved_at)
    on evaluations to microcrop_partner;
grant insert on outbox, audit_log to microcrop_partner;
grant select (available_at) on outbox to microcrop_partner;

-- A purchase by phone is the farmer's own act; one that a partner makes for her states her consent.
alter table policies
    add column consent_version text,
    add column consented_at timestamptz,
    add column consent_agent_id uuid,
    add foreign key (organisation_id, consent_agent_id) references agents (organisation_id, id),
    add check ((consent_version is null) = (consented_at is null)),
    add check (consent_agent_id is null or (organisation_id is not null and consent_version is not null));
comment on column policies.consent_agent_id is 'Which of the partner''s agents took her consent.';
grant update (consent_version, consented_at, consent_agent_id) on policies to microcrop_partner;
-- cancelling a policy withdraws an asking that was never sent
grant update (state, decided_at, next_check_at) on receipts to microcrop_partner;

-- The rail's receipt numbers of a payout that is the tenant's own: all of its legs a partner sees.
create function payout_receipts(payout uuid) returns text[]
    language sql stable security definer set search_path = public, pg_temp as $$
    select array_agg(leg.rail_receipt order by leg.leg, leg.attempt)
    from payout_legs leg
    join payouts on payouts.id = leg.payout_id
    join policies on policies.id = payouts.policy_id
    where leg.payout_id = payout and leg.state = 'paid' and leg.rail_receipt is not null
      and policies.organisation_id = tenant_id()
$$;
revoke all on function payout_receipts(uuid) from public;
grant execute on function payout_receipts(uuid) to microcrop_app, microcrop_partner;
create index evaluations_by_cid on evaluations (cid);
