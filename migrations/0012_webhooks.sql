-- Webhooks to partners: where they go, and each of them on its way.

create table endpoints (
    id                  uuid primary key,
    organisation_id     uuid not null references organisations (id),
    url                 text not null check (length(url) between 1 and 2048),
    description         text not null default '' check (length(description) <= 200),
    kinds               text[] not null check (cardinality(kinds) between 1 and 20),
    state               text not null check (state in ('enabled', 'disabled')),
    disabled_by         text check (disabled_by in ('partner', 'gone', 'failing')),
    disabled_at         timestamptz,
    secret_cipher       bytea not null,
    old_secret_ciphers  bytea[] not null default '{}',
    old_secrets_end_at  timestamptz[] not null default '{}',
    failing_since       timestamptz,
    delivered_at        timestamptz,
    version             integer not null default 1 check (version >= 1),
    created_at          timestamptz not null,
    changed_at          timestamptz not null,
    unique (organisation_id, id),
    check ((state = 'disabled') = (disabled_by is not null)),
    check ((state = 'disabled') = (disabled_at is not null)),
    check (cardinality(old_secret_ciphers) = cardinality(old_secrets_end_at))
);
comment on table endpoints is 'Where a partner is told of events. Disabled by the partner, by its own 410, or after days of nothing but failure.';

create table deliveries (
    id               uuid primary key,
    endpoint_id      uuid not null,
    organisation_id  uuid not null,
    event_id         uuid not null,
    kind             text not null,
    subject_id       uuid not null,
    body             text not null check (length(body) <= 65536),
    state            text not null check (state in ('pending', 'delivered', 'failed')),
    attempts         smallint not null default 0 check (attempts >= 0),
    replays          integer not null default 0 check (replays >= 0),
    occurred_at      timestamptz not null,
    sequence         bigint not null generated always as identity,
    next_attempt_at  timestamptz,
    claimed_until    timestamptz,
    attempted_at     timestamptz,
    status           smallint,
    failure          text,
    decided_at       timestamptz,
    created_at       timestamptz not null,
    unique (endpoint_id, event_id),
    -- with the organisation in the key, a delivery cannot go to another's endpoint
    foreign key (organisation_id, endpoint_id) references endpoints (organisation_id, id) on delete cascade,
    check ((state = 'pending') = (next_attempt_at is not null)),
    check ((state = 'pending') = (decided_at is null)),
    check (claimed_until is null or state = 'pending')
);
comment on table deliveries is 'One row per endpoint and event: the row is the work. A later one of a subject waits for the earlier; body is what is signed, without personal data.';
create index deliveries_pending on deliveries (endpoint_id, subject_id, occurred_at, sequence) where state = 'pending';
create index deliveries_due on deliveries (endpoint_id, next_attempt_at, sequence) where state = 'pending';
create index deliveries_claimed on deliveries (claimed_until) where claimed_until is not null;
create index deliveries_by_organisation on deliveries (organisation_id, id);
create index deliveries_by_subject on deliveries (subject_id, endpoint_id);
create index deliveries_old on deliveries (decided_at) where decided_at is not null;

do $$
declare
    walled text;
begin
    foreach walled in array array['endpoints', 'deliveries'] loop
        execute format('alter table %I enable row level security', walled);
        execute format('create policy app_all on %I to microcrop_app using (true) with check (true)', walled);
        execute format(
            'create policy partner_own on %I to microcrop_partner
                 using (organisation_id = (select tenant_id()))
                 with check (organisation_id = (select tenant_id()))', walled);
    end loop;
end $$;
grant select, insert, update, delete on endpoints, deliveries to microcrop_app;
grant select, insert, delete,
      update (url, description, kinds, state, disabled_by, disabled_at, secret_cipher,
              old_secret_ciphers, old_secrets_end_at, failing_since, version, changed_at)
    on endpoints to microcrop_partner;
grant select, insert,
      update (state, attempts, replays, next_attempt_at, claimed_until, failure, decided_at)
    on deliveries to microcrop_partner;

-- each release of a payout is told with its ending, whenever that is heard of: the rows must keep both
alter table payout_legs
    add column planned_at      timestamptz,
    add column concerns_farmer boolean not null default false;
comment on column payout_legs.concerns_farmer is 'Refused for a reason of the receiver''s own; stays when a person has seen to it and needs_person is empty again.';
