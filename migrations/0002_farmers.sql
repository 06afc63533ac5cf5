-- Farmers and plots. Personal data is encrypted; *_index columns are keyed hashes for lookup.

create table farmers (
    id                  uuid primary key,
    phone_index         bytea not null unique,
    phone_cipher        bytea not null,
    name_cipher         bytea not null,
    national_id_index   bytea not null unique,
    national_id_cipher  bytea not null,
    language            text not null check (language in ('en', 'sw')),
    ward_code           text not null references wards (code),
    pin_hash            text,
    pin_misses          smallint not null default 0 check (pin_misses >= 0),
    pin_locked_until    timestamptz,
    consent_version     text not null,
    consented_at        timestamptz not null,
    sms_opted_out_at    timestamptz,
    created_at          timestamptz not null
);
comment on table farmers is 'One row a person; phone and national ID are each unique through their blind index.';

create table plots (
    id             uuid primary key,
    farmer_id      uuid not null references farmers (id),
    ward_code      text not null references wards (code),
    plot_cell      text not null,
    risk_cell      text not null,
    acres_e2       integer not null check (acres_e2 between 1 and 100000),
    crop           text not null,
    sown_on        date,
    intent_key     text unique,
    created_at     timestamptz not null
);
comment on table plots is 'Where a farmer grows; plot_cell is H3 resolution 8, risk_cell its resolution 7 parent; acres in hundredths.';
create index plots_by_farmer on plots (farmer_id, created_at);
