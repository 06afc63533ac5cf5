-- Premiums: what was asked for, and every collection a rail reports.

create table receipts (
    id                uuid primary key,
    policy_id         uuid not null references policies (id),
    farmer_id         uuid not null references farmers (id),
    attempt           smallint not null check (attempt >= 1),
    rail              text not null check (rail in ('swypt')),
    amount_minor      bigint not null check (amount_minor > 0),
    currency          text not null check (currency in ('KES', 'USDC')),
    state             text not null check (state in ('requested', 'sent', 'accepted', 'suspended', 'refused')),
    rail_order_id     text unique,
    rail_receipt      text,
    collected_minor   bigint,
    suspense_reason   text check (suspense_reason in ('late', 'doubled', 'mismatched')),
    deposit_hash      text,
    prompted_at       timestamptz,
    enquiries         integer not null default 0,
    next_check_at     timestamptz,
    needs_person      text,
    created_at        timestamptz not null,
    decided_at        timestamptz,
    unique (policy_id, attempt),
    check ((state = 'sent') <= (prompted_at is not null and next_check_at is not null))
);
comment on table receipts is 'One asking for a premium. Written as sent before the rail is called; leaves sent only on the rail''s evidence.';
create unique index receipts_one_open_prompt on receipts (farmer_id) where state = 'sent';
create index receipts_due on receipts (next_check_at) where next_check_at is not null;
create index receipts_requested on receipts (created_at) where state = 'requested';
create index receipts_by_farmer on receipts (farmer_id, created_at);

create table collections (
    id              uuid primary key,
    rail            text not null check (rail in ('swypt')),
    rail_reference  text not null,
    receipt_id      uuid references receipts (id),
    phone_index     bytea not null,
    amount_minor    bigint not null check (amount_minor > 0),
    currency        text not null check (currency in ('KES', 'USDC')),
    outcome         text not null check (outcome in ('accepted', 'suspended')),
    collected_at    timestamptz not null,
    recorded_at     timestamptz not null,
    unique (rail, rail_reference)
);
comment on table collections is 'Every movement of money a rail''s history shows, booked once: the ledger''s swypt_clearing is their sum.';

create table rail_checks (
    rail           text primary key,
    next_check_at  timestamptz not null,
    last_run_at    timestamptz
);
comment on table rail_checks is 'When a rail''s whole history is next compared with the collections.';
