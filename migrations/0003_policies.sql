-- Quotes, risks, capacity and policies.

create table quotes (
    id                  uuid primary key,
    farmer_id           uuid not null references farmers (id),
    plot_id             uuid not null references plots (id),
    product_version_id  uuid not null references product_versions (id),
    season_year         integer not null,
    zone                text not null,
    sum_insured_minor   bigint not null check (sum_insured_minor > 0),
    premium_minor       bigint not null check (premium_minor > 0),
    currency            text not null check (currency in ('KES', 'USDC')),
    created_at          timestamptz not null,
    expires_at          timestamptz not null
);

create table capacity (
    id                  uuid primary key,
    product_version_id  uuid not null references product_versions (id),
    season_year         integer not null,
    accumulation_cell   text not null,
    limit_minor         bigint not null check (limit_minor >= 0),
    reserved_minor      bigint not null default 0 check (reserved_minor >= 0),
    bound_minor         bigint not null default 0 check (bound_minor >= 0),
    currency            text not null check (currency in ('KES', 'USDC')),
    unique (product_version_id, season_year, accumulation_cell),
    check (reserved_minor + bound_minor <= limit_minor)
);
comment on table capacity is 'Exposure per accumulation cell: reserved at purchase, bound at activation, released at lapse.';

create table risks (
    id                  uuid primary key,
    product_version_id  uuid not null references product_versions (id),
    zone                text not null,
    risk_cell           text not null,
    season_year         integer not null,
    window_start        date not null,
    window_end          date not null,
    window_closes_at    timestamptz not null,
    state               text not null check (state in ('open', 'deferred', 'held', 'evaluated')),
    stations_frozen_at  timestamptz,
    stations_check_at   timestamptz,
    index_dirty         boolean not null default false,
    final_index_run_id  uuid,
    next_check_at       timestamptz,
    created_at          timestamptz not null,
    unique (product_version_id, risk_cell, season_year)
);
comment on table risks is 'Product version x cell x season: evaluated once, fanned out to its policies. window_end is the day after the last.';
create index risks_due on risks (next_check_at) where next_check_at is not null;
create index risks_stations_due on risks (stations_check_at) where stations_check_at is not null;
create index risks_dirty on risks (id) where index_dirty;

create table policies (
    id                  uuid primary key,
    farmer_id           uuid not null references farmers (id),
    plot_id             uuid not null references plots (id),
    quote_id            uuid not null unique references quotes (id),
    product_version_id  uuid not null references product_versions (id),
    season_year         integer not null,
    zone                text not null,
    risk_cell           text not null,
    accumulation_cell   text not null,
    risk_id             uuid references risks (id),
    window_start        date not null,
    window_end          date not null,
    sale_closes_at      timestamptz not null,
    sum_insured_minor   bigint not null check (sum_insured_minor > 0),
    premium_minor       bigint not null check (premium_minor > 0),
    currency            text not null check (currency in ('KES', 'USDC')),
    state               text not null check (state in ('awaiting_premium', 'active', 'settled', 'lapsed', 'cancelled')),
    intent_key          text unique,
    short_code          text not null unique,
    bought_at           timestamptz not null,
    lapses_at           timestamptz not null,
    activated_at        timestamptz,
    settled_at          timestamptz,
    ended_at            timestamptz,
    check ((state in ('active', 'settled')) <= (activated_at is not null and risk_id is not null))
);
comment on table policies is 'One plot, one product version, one season. Active only after its premium is posted in the ledger.';
create unique index policies_one_live on policies (plot_id, product_version_id, season_year)
    where state in ('awaiting_premium', 'active', 'settled');
create index policies_by_farmer on policies (farmer_id, bought_at);
create index policies_by_risk on policies (risk_id, id) where risk_id is not null;
create index policies_to_lapse on policies (lapses_at) where state = 'awaiting_premium';
